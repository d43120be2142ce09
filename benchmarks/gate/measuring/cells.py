"""Which cells are compared."""

from dataclasses import dataclass
from typing import Any

from sdtps_ref.benchmarks.workloads.cells import Cell
from sdtps_ref.benchmarks.workloads.implementations import STAGE_METHODS
from sdtps_ref.benchmarks.workloads.sizes import OWN, sizes_named
from sdtps_ref.benchmarks.workloads.workload import MODES
from sdtps_ref.errors import InvalidInput
from sdtps_ref.properties.contract import CALL, provided

# Small enough for two minutes: a slowdown in a stage shows at every size, or it is a matter for `--size`.
DEFAULT_SIZES = ("4x128x512",)
DEFAULT_MODES = ("forward", "forward+backward")


@dataclass(frozen=True)
class CellOptions:
    """Which cells are compared. Empty stages: all that both sides offer."""

    stages: tuple[str, ...] = ()
    sizes: tuple[str, ...] = DEFAULT_SIZES
    modes: tuple[str, ...] = DEFAULT_MODES
    dtype: str = "float32"
    device: str = "cpu"


def chosen(base: Any, head: Any, asked: CellOptions | None = None) -> tuple[Cell, ...]:
    """The cells that both implementations offer; of two examples, their calls.

    Args:
        base: An implementation of the contract.
        head: Another one.
        asked: Stages, sizes, modes, dtype and device.

    Raises:
        InvalidInput: A stage or mode that is not there, or no cell at all.
    """
    asked = asked or CellOptions()
    for mode in asked.modes:
        if mode not in MODES:
            raise InvalidInput.given(f"mode {mode!r}", ", ".join(MODES))
    offered = [
        stage for stage, method in STAGE_METHODS.items() if method in provided(base) and method in provided(head)
    ]
    for stage in asked.stages:
        if stage not in offered:
            raise InvalidInput.given(f"stage {stage!r}", f"what both offer: {', '.join(offered) or 'nothing'}")
    cells = [
        Cell(stage, size, mode, asked.dtype, asked.device)
        for stage in offered
        if not asked.stages or stage in asked.stages
        for name in asked.sizes
        for size in sizes_named(name)
        for mode in asked.modes
    ]
    if not cells and all(CALL in provided(each) for each in (base, head)):
        cells = [Cell(CALL, OWN, mode, asked.dtype, asked.device) for mode in asked.modes]
    if not cells:
        accepted = f"one or more of {', '.join(STAGE_METHODS)}; or an example of both, FILE.py:example"
        raise InvalidInput.given("implementations that share no stage", accepted)
    return tuple(dict.fromkeys(cells))
