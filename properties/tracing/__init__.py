"""A training step that is running, watched: where tokens are chosen, and why the choice does not learn."""
