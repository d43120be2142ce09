"""The sizes that are timed: batches and shapes from the papers, by name."""

import re
from dataclasses import dataclass

from sdtps_ref.errors import InvalidInput

BATCHES = (4, 64, 256, 1024)


@dataclass(frozen=True)
class Size:
    """B samples of N tokens with C channels, of which K are kept and pooled into M slots."""

    B: int
    N: int
    K: int
    C: int
    M: int

    def __str__(self) -> str:
        if self == OWN:
            return "its own size"
        return f"B{self.B}-N{self.N}-K{self.K}-C{self.C}-M{self.M}"

    @property
    def short(self) -> str:
        """4x128x512 where the shape has a name, else as printed."""
        known = {shape.batch(self.B): name for name, shape in SHAPES.items()}
        return f"{self.B}x{known[self]}" if self in known else str(self)

    @property
    def tokens(self) -> int:
        """Tokens of a batch, B N: what "tokens a second" counts."""
        return self.B * self.N


@dataclass(frozen=True)
class Shape:
    """A size without its batch. K is N / 2 throughout, as in the papers."""

    N: int
    C: int
    M: int

    def batch(self, B: int) -> Size:
        """The size with that many samples."""
        return Size(B, self.N, self.N // 2, self.C, self.M)


# Of a call that is timed as its example makes it. C is what a slowdown's filler is as wide as.
OWN = Size(0, 0, 0, 64, 0)

# 128 tokens: 256 by 128 pixels in patches of 16 (re-identification), 25 slots. 196: 224 by 224 pixels, 39 slots.
# 1024: 512 by 512 pixels, pooled into the slots of 196. 512 and 768 channels: ViT-B/16 behind CLIP's projection, and
# before it.
SHAPES = {
    "128x512": Shape(128, 512, 25),
    "128x768": Shape(128, 768, 25),
    "196x512": Shape(196, 512, 39),
    "196x768": Shape(196, 768, 39),
    "1024x512": Shape(1024, 512, 39),
    "1024x768": Shape(1024, 768, 39),
}

PUBLISHED = tuple(shape.batch(B) for shape in SHAPES.values() for B in BATCHES)
# What a laptop times in a coffee break.
EVERYDAY = tuple(SHAPES[name].batch(4) for name in ("128x512", "196x512"))

ACCEPTED = f"[BATCH x] N x C, as in 4x128x512, of {', '.join(SHAPES)}; or B4-N128-K64-C512-M25"
_WRITTEN = re.compile(r"B(\d+)-N(\d+)-K(\d+)-C(\d+)-M(\d+)")


def sizes_named(name: str) -> tuple[Size, ...]:
    """The sizes that `name` stands for.

    "everyday", "published", a shape such as "128x512" with every batch, "4x128x512", or a size as it is printed.
    Raises InvalidInput for any other name, and for sizes with nothing to keep or more kept than there is.
    """
    if name in ("everyday", "published"):
        return {"everyday": EVERYDAY, "published": PUBLISHED}[name]
    if name in SHAPES:
        return tuple(SHAPES[name].batch(B) for B in BATCHES)
    batch, _, shape = name.partition("x")
    if shape in SHAPES and batch.isdecimal() and int(batch) >= 1:
        return (SHAPES[shape].batch(int(batch)),)
    written = _WRITTEN.fullmatch(name)
    if written is None:
        raise InvalidInput.given(f"size {name!r}", f"everyday, published, {ACCEPTED}")
    size = Size(*map(int, written.groups()))
    if min(size.B, size.N, size.K, size.C, size.M) < 1 or size.K > size.N:
        raise InvalidInput.given(f"size {name}", "whole numbers, 1 or more, and K of at most N")
    return (size,)
