"""One call of the user's own module: what is chosen, and what reaches the score."""
