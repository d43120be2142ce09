"""What `from sdtps_ref import trace` gives: `trace(model)`, and `trace.every(...)` for a whole run."""

from __future__ import annotations

from torch import nn
from torch.optim.optimizer import Optimizer

from sdtps_ref.properties.tracing.every import Every
from sdtps_ref.properties.tracing.sinks import To
from sdtps_ref.properties.tracing.tracer import Trace


class Tracer:
    """Watches training steps. See `__call__` and `every`."""

    def __call__(self, model: nn.Module, *, optimizer: Optimizer | None = None) -> Trace:
        """Watch one step: `with trace(model) as seen:` around forward and backward, then `print(seen)`.

        Nothing of the model, its gradients or its random numbers is different for it. optimizer: where its step lies
        outside the block, to be told which parameters it holds.
        """
        return Trace(model, optimizer=optimizer)

    def every(self, model: nn.Module, *, steps: int = 100, to: To) -> Every:
        """Sample every so many steps of a run: `with trace.every(model, steps=100, to="run.csv"):` around the loop.

        to: a path of a CSV file, a `SummaryWriter`, or a function of a row (a dict; see `rows.FIELDS`). Without
        `with`, `start()` and `stop()` do the same.
        """
        return Every(model, steps=steps, to=to)


trace = Tracer()
