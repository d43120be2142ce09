"""Versioned vectors that any implementation in any language can be held to, what writes them and what checks them."""
