"""What a law raises: the implementation is wrong, offers too little, or the case cannot tell."""

from sdtps_ref.properties.kit.source_line import SourceLine


class Violation(AssertionError):
    """The implementation did not do what the law claims. The message needs no knowledge of the law.

    check: a Python expression over the script's names that is true for a right implementation. raised: the
    class of what the script raises, where to raise that is the violation. where: the user's line, if it is known.
    effect: what it does to training, and fix: the line of code that mends it, where they are known of this failure.
    """

    def __init__(
        self,
        message: str,
        check: str | None = None,
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
