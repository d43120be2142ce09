"""What serves this repository alone, and is not in the wheel: how often the gate is wrong."""
