"""The user's line for a cause: one call of the method that it is about is watched, and its kind names a part of it."""
