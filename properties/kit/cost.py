"""What the time of a law is taken from. Free of torch: profiles name these before anything heavy is imported."""

from typing import Literal

CostClass = Literal["eager", "compile", "distributed"]
ALL_BUDGETS: tuple[CostClass, ...] = ("eager", "compile", "distributed")
