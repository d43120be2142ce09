"""Try an implementation in a process of its own, which may hang, die or eat memory: the certifier goes on."""
