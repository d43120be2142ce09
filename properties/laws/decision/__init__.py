"""The decision matrix D: hard forward, soft backward."""
