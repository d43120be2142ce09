"""What a law raises: the implementation is wrong, offers too little, or the case cannot tell."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from sdtps_ref.properties.kit.source_line import SourceLine

if TYPE_CHECKING:
    from torch import Tensor

# Packages whose code is the judge's. Planted faults and published copies lie in `selftest`, and are subjects.
JUDGE, SUBJECTS = "sdtps_ref.properties.", "sdtps_ref.properties.selftest."


class Violation(AssertionError):
    """The implementation did not do what the law claims. The message needs no knowledge of the law.

    check: true for a right implementation, of one entry, and computed by the law: the script computes it again.
    False where a right one does not come that far; text is for what is no tensor, and for `kit.expect` alone.
    raised: the class of what the script raises, where to raise that is the violation. where: the user's line, if it
    is known.
    effect: what it does to training, and fix: the line of code that mends it, where they are known of this failure.
    """

    def __init__(
        self,
        message: str,
        check: Tensor | str | bool | None = None,
        raised: str = "",
        *,
        where: SourceLine | None = None,
        effect: str = "",
        fix: str = "",
    ):
        super().__init__(message)
        self.check, self.raised = check, raised
        self.where, self.effect, self.fix = where, effect, fix


class Unsupported(Exception):
    """The implementation does not offer, in this case, what the law needs: `reason` goes on the certificate."""


class Inconclusive(Exception):
    """This case says nothing about the law (a wrong implementation would look right on it)."""


JUDGES_SIGNALS = (Violation, Unsupported, Inconclusive)


def raised_by_judge(error: BaseException, law: Callable[..., object] | None = None) -> bool:
    """Whether the frame that raised it is the judge's own: of one of the judge's modules, or that of this `law`.

    An implementation can import these classes and raise them, by mistake (it is wrapped in somebody's test) or to
    be let off; what it raises is only ever what an implementation raised.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return False
    its = trace.tb_frame.f_globals
    if law is not None and getattr(law, "__globals__", None) is its:
        return True
    name = its.get("__name__")
    if not isinstance(name, str) or not name.startswith(JUDGE) or name.startswith(SUBJECTS):
        return False
    return getattr(sys.modules.get(name), "__dict__", None) is its
