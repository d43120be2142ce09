"""The sizes that arguments share: those that a module's own layers ask for, and those that would have fitted."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from torch import nn

from sdtps_ref.properties.watching.sizes import IMAGE, TOKENS, WIDTH

BATCH, WORDS, COLOURS = 3, 12, 3
MANY = 40  # tokens, where a module keeps as many as there are of few
SEVERAL = 6 * TOKENS  # where there are as many in each of TOKENS frames
MISFIT = re.compile(
    r"must match|cannot be multiplied|size mismatch|mismatch|to have \d+ (input )?(channels|features)|invalid for input"
    r"|normalized_shape|expected size|expected input|out of bounds|can't divide|must be equal to|out of range"
    r"|inconsistent|was expecting embedding dimension|should be the same|broadcast",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Sizes:
    """The sizes that arguments share.

    batch B, tokens N, channels C, words of a text L; height of an image, its width (0: as high), and its colours.
    """

    batch: int = BATCH
    tokens: int = TOKENS
    width: int = WIDTH
    words: int = WORDS
    image: int = IMAGE
    across: int = 0
    colours: int = COLOURS

    @property
    def picture(self) -> tuple[int, int]:
        """Height and width of an image."""
        return self.image, self.across or self.image

    @property
    def grid(self) -> tuple[int, int]:
        """The tokens as rows and columns, as square as they can be."""
        return _grid(self.tokens)


def _grid(count: int) -> tuple[int, int]:
    rows = next(r for r in range(math.isqrt(count), 0, -1) if count % r == 0)
    return rows, count // rows


def sizes_of(module: nn.Module | None, edge: int | None = None) -> list[Sizes]:
    """The sizes to try: those that were built with, then those that the module's own layers ask for.

    edge: of an image, where it was built with one.
    """
    if module is None:
        return [Sizes(), Sizes(tokens=MANY, words=MANY)]
    found = _widths(module)
    widths = dict.fromkeys([*([WIDTH] if WIDTH in found or not found else []), *[w for w in found if w > 1], WIDTH])
    positions = _positions(module)
    tokens = dict.fromkeys([TOKENS, *[n for p in positions[:1] for n in (p, p - 1)], MANY, SEVERAL])
    image, colours = edge or _image(module, positions), _colours(module)
    first, *others = list(widths)[:4]
    pairs = [*[(n, first) for n in tokens], *[(n, c) for n in tokens for c in others]]
    return [Sizes(tokens=n, width=c, words=WORDS if n < MANY else n, image=image, colours=colours) for n, c in pairs]


def _widths(module: nn.Module) -> list[int]:
    widths: list[int] = []
    for part in module.modules():
        if isinstance(part, nn.Linear):
            widths.append(part.in_features)
        elif isinstance(part, nn.LayerNorm):
            widths.append(int(part.normalized_shape[-1]))
        elif isinstance(part, nn.MultiheadAttention):
            widths.append(part.embed_dim)
        elif isinstance(part, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
            widths.append(part.in_channels)
    widths += [parameter.shape[0] for _, parameter in _parameters(module) if parameter.dim() == 2]
    return widths


def _parameters(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    for name, parameter in module.named_parameters():
        if not isinstance(parameter, nn.parameter.UninitializedParameter):
            yield name, parameter


def _positions(module: nn.Module) -> list[int]:
    """How many tokens embeddings of positions are for, those of a class among them."""
    shapes = [parameter.shape for _, parameter in _parameters(module)]
    return [shape[1] for shape in shapes if len(shape) == 3 and shape[0] == 1 and shape[1] > 2]


def _colours(module: nn.Module) -> int:
    first = next((part for part in module.modules() if isinstance(part, nn.Conv2d)), None)
    return first.in_channels if first is not None and first.in_channels <= 4 else COLOURS


def _image(module: nn.Module, positions: list[int]) -> int:
    """An image's edge: what a part calls its size, else as many patches as there are embeddings of positions."""
    for part in module.modules():
        size = getattr(part, "img_size", None) or getattr(part, "image_size", None)
        size = size[0] if isinstance(size, (tuple, list)) and size else size
        if isinstance(size, int):
            return size
    patches = [part for part in module.modules() if isinstance(part, nn.Conv2d) and part.in_channels <= 4]
    for count in positions:
        for extra in (0, 1, 2):
            edge = math.isqrt(count - extra)
            if patches and edge * edge == count - extra and (stride := patches[0].stride[0]) > 1:
                return edge * int(stride)
    return IMAGE


def fitted(sizes: Sizes, message: str) -> list[Sizes]:
    """Other sizes with which the two numbers of a message about shapes that do not fit would be equal."""
    if not MISFIT.search(message):
        return []
    numbers = list(dict.fromkeys(int(n) for n in re.findall(r"\d+", message) if 0 < int(n) < 1 << 20))
    found: list[Sizes] = []
    for name in ("tokens", "width", "words", "colours"):
        own = getattr(sizes, name)
        for extra in (0, 1, 2):
            if own + extra in numbers:
                found += [replace(sizes, **{name: n - extra}) for n in numbers if n - extra > 1 and n != own + extra]
    found += _pictures(sizes, numbers)
    return [size for size in dict.fromkeys(found) if size != sizes]


def _pictures(sizes: Sizes, numbers: list[int]) -> list[Sizes]:
    """Images with as many patches as were wanted, of the same size; so many of the tokens are not patches."""
    found = []
    for extra in (0, 1, 2):
        for had in numbers:
            edge = math.isqrt(max(0, had - extra))
            if edge < 2 or edge * edge != had - extra or sizes.image % edge:
                continue
            patch = sizes.image // edge
            for wanted in numbers:
                if wanted != had and wanted - extra > 1:
                    rows, columns = _grid(wanted - extra)
                    if rows > 1:
                        found.append(
                            replace(sizes, image=patch * rows, across=0 if rows == columns else patch * columns)
                        )
    return found
