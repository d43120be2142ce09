"""The fixture `sdtps_trace`: a test that traces a step, and fails where its selection does not learn."""

from __future__ import annotations

from typing import Any


class Traces:
    """Traces of one test. `check()` fails with the words that `print` shows."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def __call__(self, model: Any, **options: Any) -> Any:
        """`sdtps_ref.trace(model)`, remembered for `check`."""
        from sdtps_ref import trace

        made = trace(model, **options)
        self.seen.append(made.seen)
        return made

    def check(self) -> None:
        """Fail where one of the traced steps has a cause, shows no selection, or where nothing was traced."""
        if not self.seen:
            raise AssertionError("sdtps_trace.check() without `with sdtps_trace(model):` before it: nothing was traced")
        for seen in self.seen:
            seen.check()
