"""The masked softmax: what D may change in the pooled tokens, and what it may not."""
