"""One call of somebody's own module, watched: where it chooses tokens, and what reaches the score."""
