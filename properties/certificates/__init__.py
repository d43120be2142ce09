"""The record of a run: what it holds, its schema, and how a stored one is read and joined."""
