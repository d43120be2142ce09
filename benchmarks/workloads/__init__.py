"""What is measured: sizes, stages, implementations, and who may be timed."""
