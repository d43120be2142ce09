"""Points of a map that the user's own call samples at chosen positions: x comes first, then y."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.source_line import SourceLine
from sdtps_ref.properties.kit.values import draw
from sdtps_ref.properties.laws.call.reading_of import CALL, passes_of
from sdtps_ref.properties.watching.choosing import CHOOSES
from sdtps_ref.properties.watching.reading import Reading
from sdtps_ref.properties.watching.record import Call

NEAR, FAR = 0.35, 0.7  # of what varies, that a straight line leaves: less, with places refined to fractions; more
TRIED = 6  # places of a map
FACTORS = range(1, 33)  # by which a map is finer, or coarser, than what was ranked


@law(needs="call", domain=CALL)
def grid_is_x_then_y(probe: Probe) -> None:
    """The grid of a `grid_sample` names the column of a chosen position first, and its row second.

    Why: `F.grid_sample` reads (x, y). Turned round it samples the place that lies mirrored at the diagonal: on a square
    map everything has the right shape, and another part of the picture is looked at than was chosen.
    Breaks when: `torch.stack([index // W, index % W], -1)` becomes the grid.
    Remedy: `torch.stack([index % W, index // W], -1)`, scaled by the width and the height in this order.
    """
    reading = passes_of(probe).reading()
    calls = [call for call in reading.watched.calls if call.name in ("grid_sample", "grid_sampler")]
    seen = [(call, *found) for call in calls for found in _chosen(reading, call)]
    if not seen:
        raise Unsupported("no map is sampled at chosen positions")
    for call, choice, index, width in seen:
        grid = _points(call.argument(1, "grid"), index)
        if grid is None:
            continue
        row, column = index // width, index % width
        turned = _left(grid[..., 0], row) < NEAR and _left(grid[..., 1], column) < NEAR
        apart = _left(grid[..., 0], column) > FAR and _left(grid[..., 1], row) > FAR
        if turned and apart and _lies_in_rows(reading, call, choice, width):
            raise Violation(
                f"grid_sample is given (row, column) of the chosen positions, index // {width} first, and takes them "
                "for (x, y)",
                where=_where(reading, call, choice),
                effect="what is sampled lies mirrored at the diagonal: another place than the one that was chosen",
                fix="grid = torch.stack([index % W, index // W], -1): the column first",
            )


def _chosen(reading: Reading, call: Call) -> Iterator[tuple[Call, Tensor, int]]:
    """Choices among the places of a sampled map, indices that go from them into the grid, and the map's width."""
    pixels, grid = call.argument(0, "input"), call.argument(1, "grid")
    made = reading.watched.watch.number_of(grid) if isinstance(grid, Tensor) else None
    if made is None or pixels.dim() != 4 or grid.dim() != 4:
        return
    behind = [reading.watched.calls[n] for n in (made, *reading.graph.ancestors(made))]
    for choice in behind:
        if choice.name not in CHOOSES or not choice.read or not choice.read[0].is_floating_point():
            continue
        count = choice.read[0].shape[-1] if choice.read[0].dim() else 0
        width = _width(pixels.shape[-2], pixels.shape[-1], count)
        for each in behind if width else ():
            for tensor in each.tensors if reading.graph.depends(each.number, choice.number) else ():
                whole = tensor.dtype in (torch.int64, torch.int32) and tensor.dim() >= 1
                if whole and tensor.shape[0] == len(choice.read[0]) and width <= int(tensor.max()) < count:
                    yield choice, tensor.detach().flatten(1) if tensor.dim() > 1 else tensor.detach()[:, None], width


def _width(height: int, width: int, count: int) -> int:
    """The width of a map of `count` places that has the shape of this one, or of one finer or coarser; else 0."""
    for factor in FACTORS:
        if height % factor == 0 == width % factor and (height // factor) * (width // factor) == count:
            return width // factor
        if height * factor * width * factor == count:
            return width * factor
    return 0


def _points(grid: Tensor, index: Tensor) -> Tensor | None:
    """B K 2: where each chosen position is looked for; the middle of a patch that is cut out around it."""
    grid, count = grid.detach(), index.numel()
    points = grid.numel() // 2
    if not count or points % count or grid.shape[0] % len(index):
        return None
    if points == count:
        return grid.reshape(*index.shape, 2)
    if grid.shape[0] == count or grid.shape[1] == index.shape[1]:
        return grid.reshape(*index.shape, points // count, 2).mean(2)
    return None


def _left(numbers: Tensor, places: Tensor) -> float:
    """The share of what varies in the numbers that a straight line of the places leaves; 1 where nothing varies."""
    x, y = places.double().flatten(), numbers.double().flatten()
    x, y = x - x.mean(), y - y.mean()
    if len(x) < 3 or len(places.unique()) < 3 or not bool(y.isfinite().all()) or float(y.norm()) < 1e-9:
        return 1.0
    return float((y - x * (x @ y) / (x @ x)).norm() / y.norm())


def _lies_in_rows(reading: Reading, call: Call, choice: Call, width: int) -> bool:
    """Whether what is ranked lies row after row, as index // W has it: plain of a map that is not square, else seen."""
    ranked = choice.read[0]
    height = ranked.shape[-1] // width
    if height != width:
        return True
    pixels, factor = call.argument(0, "input"), call.argument(0, "input").shape[-1] / width
    for source in _behind_both(reading, ranked, pixels):
        nearer = 0
        tried = [i for i in range(1, height * width, max(1, height * width // TRIED)) if i // width != i % width]
        for i in tried:
            own = _place(ranked[0].flatten()[i], source)
            there, turned = (
                _place(pixels[0, :, int((y + 0.5) * factor), int((x + 0.5) * factor)], source)
                for y, x in ((i // width, i % width), (i % width, i // width))
            )
            if own is None or there is None or turned is None:
                return False
            nearer += int((own - there).norm() < (own - turned).norm())
        return nearer > len(tried) / 2
    return False


def _behind_both(reading: Reading, ranked: Tensor, pixels: Tensor) -> Iterator[Tensor]:
    """Maps and rows of tokens that both the scores and what is sampled are made of, the latest first."""
    made = [reading.watched.watch.number_of(t) for t in (ranked, pixels)]
    behind = [{n, *reading.graph.ancestors(n)} for n in made if n is not None]
    for n in sorted(behind[0] & behind[1], reverse=True) if len(behind) == 2 else ():
        for source in reading.watched.calls[n].tensors:
            if source.dim() in (3, 4) and source.requires_grad and len(source) == len(ranked):
                yield source


def _place(numbers: Tensor, source: Tensor) -> Tensor | None:
    """Where in a map (B C H W), or among tokens (B N C), of the first sample numbers come from most."""
    if not numbers.requires_grad:
        return None
    mixed = (numbers * draw("normal", tuple(numbers.shape), 47).to(numbers)).sum()
    slope = torch.autograd.grad(mixed, source, retain_graph=True, allow_unused=True)[0]
    if slope is None or not slope[0].any():
        return None
    parts = slope[0].norm(dim=0) if slope.dim() == 4 else slope[0].norm(dim=-1)
    side = round(parts.numel() ** 0.5)
    if parts.dim() == 1 and side * side == parts.numel():
        parts = parts.view(side, side)
    return torch.stack(torch.unravel_index(parts.argmax(), parts.shape)).double()


def _where(reading: Reading, call: Call, choice: Call) -> SourceLine | None:
    """The line that puts both coordinates together; else that of the call."""
    made = reading.watched.watch.number_of(call.argument(1, "grid"))
    for n in [] if made is None else [made, *reading.graph.ancestors(made)]:
        each = reading.watched.calls[n]
        if not reading.graph.depends(n, choice.number):
            continue
        if each.name in ("stack", "cat", "concat") and each.tensors and each.tensors[0].shape[-1] == 2 and each.place:
            return each.place
    return call.place
