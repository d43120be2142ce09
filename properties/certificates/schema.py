"""The schema of the record, which is published with the package, and what is wrong with a record by it."""

import json
from importlib import resources
from typing import Any

from sdtps_ref.optional_libraries import require

FILE = "certificate.schema.json"
LONGEST = 200  # characters of a message; jsonschema repeats whole values


def text() -> str:
    """The schema as it is published: draft 2020-12."""
    return resources.files("sdtps_ref.properties.certificates").joinpath(FILE).read_text(encoding="utf-8")


def problem(record: Any, what: str) -> str | None:
    """The plainest of what is wrong with a record, in one line, with where; None for nothing.

    what: what needs it, for the MissingLibrary that is raised without jsonschema.
    """
    jsonschema = require("jsonschema", what, offers="Draft202012Validator")
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(json.loads(text())).iter_errors(record))
    if error is None:
        return None
    said = " ".join(error.message.split())
    return f"{error.json_path}: {said if len(said) <= LONGEST else said[:LONGEST] + ' ...'}"
