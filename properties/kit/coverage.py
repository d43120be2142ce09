"""Cases that hold every pair of sizes, dtypes, layouts, modes and kinds of values, as few as a greedy search finds."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

from sdtps_ref.properties.kit.case import DTYPES, LAYOUTS, SCORE_KINDS, TOKEN_KINDS, Case
from sdtps_ref.properties.kit.domain import representable

# At and around the tiles of fused kernels, odd, prime and large.
TOKEN_COUNTS = (3, 13, 31, 32, 33, 64, 65, 127, 129, 256, 257, 1030)
BATCHES = (1, 2, 17, 33, 65, 129)
KEPT = ("one", "two", "half", "a tile", "a tile and one", "all but one", "all")
DIMS = (8, 24, 72)
SLOTS = (1, 2, 7, 33)
TAUS = (0.05, 0.3, 1.0, 5.0, 20.0)
LARGEST = 40_000  # values of the tokens: larger cases have fewer samples

Factors = Mapping[str, tuple[Any, ...]]
EVERYTHING: Factors = {
    "num_tokens": TOKEN_COUNTS,
    "scores": SCORE_KINDS,
    "keep": KEPT,
    "batch": BATCHES,
    "tau": TAUS,
    "dtype": DTYPES,
    "layout": LAYOUTS,
    "tokens": TOKEN_KINDS,
    "slots": SLOTS,
    "dim": DIMS,
    "training": (True, False),
}


def covering_rows(factors: Factors) -> list[dict[str, Any]]:
    """Rows that hold every pair of values of two factors: each begins with a pair that is missing, and takes of the
    other factors what brings the most pairs that are missing too. Always the same rows."""
    names = list(factors)
    missing = {
        (one, a, other, b) for one, other in combinations(names, 2) for a in factors[one] for b in factors[other]
    }
    waiting = [
        (one, a, other, b) for one, other in combinations(names, 2) for a in factors[one] for b in factors[other]
    ]
    place = {name: i for i, name in enumerate(names)}

    def pair(one: str, a: Any, other: str, b: Any) -> tuple[str, Any, str, Any]:
        return (one, a, other, b) if place[one] < place[other] else (other, b, one, a)

    rows: list[dict[str, Any]] = []
    for first in waiting:
        if first not in missing:
            continue
        row = {first[0]: first[1], first[2]: first[3]}
        for turn, name in enumerate(names):
            if name in row:
                continue
            values = factors[name]
            start = (len(rows) + turn) % len(values)  # of equals, each has its turn
            turned = values[start:] + values[:start]
            row[name] = max(turned, key=lambda v: sum(pair(name, v, o, b) in missing for o, b in row.items()))
        missing -= {pair(one, row[one], other, row[other]) for one, other in combinations(names, 2)}
        rows.append(row)
    return rows


def covering_cases(**narrowed: tuple[Any, ...]) -> tuple[Case, ...]:
    """Cases with every pair of values of EVERYTHING, some of its factors narrowed; small ones first."""
    rows = covering_rows({**EVERYTHING, **narrowed})
    cases = [_case(row, seed) for seed, row in enumerate(rows)]
    return tuple(sorted(cases, key=lambda case: case.batch * case.num_tokens * case.dim))


def _case(row: dict[str, Any], seed: int) -> Case:
    N = row["num_tokens"]
    tile = max((t for t in (32, 64, 128, 512) if t < N), default=N // 2)
    kept = {
        "one": 1,
        "two": 2,
        "half": N // 2,
        "a tile": tile,
        "a tile and one": tile + 1,
        "all but one": N - 1,
        "all": N,
    }
    keep = min(max(kept[row["keep"]], 1), N)
    batch = max(1, min(row["batch"], LARGEST // (N * row["dim"])))
    return representable(Case(**row | {"keep": keep, "batch": batch}, seed=seed))
