"""Did it get slower: two versions measured in one process, beside a copy of the first and one slowed on purpose."""
