"""What a result means where the law was expected to fail."""

import dataclasses
import re

from sdtps_ref.properties.certificates.certificate import LawResult
from sdtps_ref.properties.certificates.expected import ExpectedFailure


def held_against(result: LawResult, expected: ExpectedFailure | None) -> LawResult:
    """What the result means where this was expected: xfailed, xpassed, or a failure that was not expected like that.

    Skipped and blocked laws stay what they are: they neither failed nor passed.
    """
    if expected is None or result.status not in ("passed", "failed", "error"):
        return result
    if result.status == "passed":
        reason = f"passes, but was expected to fail ({expected.reason}): take it off the list"
        return dataclasses.replace(result, status="xpassed", reason=reason, expected=expected)
    # An error without a failure says that too little was measured; who expects that must say so in a match.
    message = result.failure.message if result.failure else result.reason if expected.match else None
    if message is not None and re.search(expected.match, message):
        return dataclasses.replace(result, status="xfailed", reason=expected.reason, expected=expected)
    reason = f"expected to fail with {expected.match!r} ({expected.reason}), but fails otherwise"
    if not result.failure:
        reason = f"{result.reason}; {reason}"
    return dataclasses.replace(result, reason=reason, expected=expected)
