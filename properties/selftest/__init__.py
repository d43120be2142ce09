"""Who watches the laws: planted faults, right variants, and the laws run on both."""
