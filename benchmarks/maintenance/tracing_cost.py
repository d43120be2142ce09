"""What `trace.every` costs: steps with and without it, in turns, in one run, at B=64 N=196 C=512.

python -m sdtps_ref.benchmarks.maintenance.tracing_cost [--write docs/trace-cost.md] [--size B=64,N=196,C=512]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import torch
from torch import nn

from sdtps_ref import TokenAggregation, TokenSparse, trace
from sdtps_ref.properties.tracing.rows import Row

PAIRS = 9  # of steps, one with and one without
CLASSES, LAYERS = 10, 2


class Model(nn.Module):
    """Two transformer layers, a score, selection and aggregation: what is around a selection, in small."""

    def __init__(self, tokens: int, width: int):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 8, 2 * width, dropout=0.0, batch_first=True) for _ in range(LAYERS)
        )
        self.score = nn.Sequential(nn.Linear(width, width // 4), nn.GELU(), nn.Linear(width // 4, 1))
        self.select, self.pool = TokenSparse(width, 0.5), TokenAggregation(width, max(1, tokens // 5), mask="log")
        self.head = nn.Linear(width, CLASSES)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """tokens: B N C. Returns B CLASSES."""
        for layer in self.layers:
            tokens = layer(tokens)
        chosen = self.select(tokens, self.score(tokens).squeeze(-1))
        return self.head(self.pool(chosen.selected_tokens, chosen.selected_decision).mean(1))


def measure(batch: int, tokens: int, width: int, pairs: int = PAIRS) -> dict[str, float]:
    """Medians in seconds of the CPU, which who else works on it changes little.

    Of a step alone, one under `every` that is not sampled, one that is, and one in `trace`.
    """
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = Model(tokens, width)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    inputs, labels = torch.randn(batch, tokens, width), torch.randint(CLASSES, (batch,))

    def step() -> float:
        start = time.process_time()
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
        return time.process_time() - start

    step()
    times: dict[str, list[float]] = {"alone": [], "not sampled": [], "sampled": [], "traced": []}
    for _ in range(pairs):
        times["alone"].append(step())
        rows: list[Row] = []
        with trace.every(model, steps=2, to=rows.append):
            times["sampled"].append(step())
            assert rows
            times["not sampled"].append(step())
        start = time.process_time()
        with trace(model):
            step()
        times["traced"].append(time.process_time() - start)
    return {name: statistics.median(each) for name, each in times.items()}


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0 if a sampled step takes at most three times a step's time."""
    parser = argparse.ArgumentParser(prog="tracing_cost", description=__doc__)
    parser.add_argument("--size", default="B=64,N=196,C=512")
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--write", type=Path, metavar="FILE")
    given = parser.parse_args(arguments)
    sizes = {name: int(number) for name, number in (part.split("=") for part in given.size.split(","))}
    found = measure(sizes["B"], sizes["N"], sizes["C"], given.pairs)
    lines = [
        "# What a trace costs",
        "",
        f"Steps at {given.size.replace(',', ' ')}, in turns, in one run; {torch.get_num_threads()} thread(s) of a CPU,",
        f"torch {torch.__version__}; medians of {given.pairs}.",
        "In a checkout, `python -m sdtps_ref.benchmarks.maintenance.tracing_cost --write FILE` writes this page.",
        "",
        "| step | seconds of the CPU | times a step alone |",
        "|---|---|---|",
        *(f"| {name} | {seconds:.3f} | {seconds / found['alone']:.2f} |" for name, seconds in found.items()),
    ]
    print("\n".join(lines[2:]))
    if given.write is not None:
        given.write.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0 if found["sampled"] <= 3 * found["alone"] else 1


if __name__ == "__main__":
    sys.exit(main())
