"""How fast an implementation runs."""
