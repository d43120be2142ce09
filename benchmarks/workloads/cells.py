"""A cell of what is timed: one stage at one size in one mode, in one dtype on one device."""

from dataclasses import dataclass
from typing import Any

from sdtps_ref.benchmarks.workloads.sizes import Size


@dataclass(frozen=True)
class Cell:
    """What is timed at a time. dtype and device are torch's names."""

    stage: str
    size: Size
    mode: str
    dtype: str = "float32"
    device: str = "cpu"

    def __str__(self) -> str:
        return f"{self.stage} {self.mode} {self.size}"

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Cell":
        """What `dataclasses.asdict` makes of a cell."""
        return cls(**content | {"size": Size(**content["size"])})
