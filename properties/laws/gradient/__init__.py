"""What reaches the score: the reason that D exists."""
