"""Certificates that were stored: read with suspicion, replayed, verified, and joined."""
