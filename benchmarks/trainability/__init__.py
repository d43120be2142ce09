"""`sdtps bench trainability`: which mask trains."""
