"""The commands of this room, a file each."""
