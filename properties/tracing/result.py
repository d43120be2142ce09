"""What `with trace(model) as seen:` gives: to print, to check, and to write as JSON or as a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sdtps_ref.output_files import replace_text
from sdtps_ref.properties.tracing.plain import plain_fields
from sdtps_ref.properties.tracing.screen import screen
from sdtps_ref.properties.tracing.seen import StepSeen

FORMAT = 1


class TraceFailure(AssertionError):
    """A traced step has a cause for which its selection does not learn."""


class Seen(StepSeen):
    """Of one traced step; filled in by its backward pass and at the end of the block."""

    def __str__(self) -> str:
        return screen(self)

    def check(self) -> None:
        """Raise TraceFailure, with what `print` shows, where there is a cause; or where no selection was seen."""
        if self.cause is not None or not self.sites:
            raise TraceFailure(f"\n{self}")

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"format": FORMAT, **plain_fields(self)}

    def json(self, path: str | Path) -> None:
        """Write all of it to a file."""
        replace_text(Path(path), self.json_text())

    def json_text(self) -> str:
        """All of it, as JSON."""
        return json.dumps(self.to_json(), indent=1) + "\n"

    def html(self, path: str | Path) -> None:
        """Write the page: ladder, soft masks, lines, cause and remedy in one file. Needs the extra `report`."""
        from sdtps_ref.properties.tracing.page import page  # jinja2 is of an extra

        replace_text(Path(path), page(self))
