"""What was told of every planted fault, as a record that the page of causes is made from.

A checkout renews it with `python -m sdtps_ref.properties.maintenance.causes_record docs/site/causes.json`: minutes.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from sdtps_ref.properties.selftest.causes import Told, judged, told_of


def written(told: list[Told]) -> str:
    """The record as JSON, a fault a line."""
    return "[\n" + ",\n".join(json.dumps(asdict(each)) for each in told) + "\n]\n"


def read(file: Path) -> list[Told]:
    """The record that `written` made."""
    return [Told(**each | {"later": tuple(each["later"])}) for each in json.loads(file.read_text(encoding="utf-8"))]


def main(arguments: list[str]) -> int:
    """Judge every planted fault, and write what was told of it. Exit 0, or 2 where the file cannot be written."""
    parser = argparse.ArgumentParser(prog="causes_record", description=main.__doc__)
    parser.add_argument("record", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    try:
        options.record.touch()  # before minutes of work
        options.record.write_text(written(told_of(judged(Console(stderr=True)))), encoding="utf-8")
    except OSError as error:
        print(f"causes_record: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
