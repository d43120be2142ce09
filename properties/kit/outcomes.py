"""What a law raises: the implementation is wrong, offers too little, or the case cannot tell."""


class Violation(AssertionError):
    """The implementation did not do what the law claims. The message needs no knowledge of the law.

    check: a Python expression over the script's names that is true for a right implementation. raised: the
    class of what the script raises, where to raise that is the violation.
    """

    def __init__(self, message: str, check: str | None = None, raised: str = ""):
        super().__init__(message)
        self.check, self.raised = check, raised


class Unsupported(Exception):
    """The implementation does not offer, in this case, what the law needs: `reason` goes on the certificate."""


class Inconclusive(Exception):
    """This case says nothing about the law (a wrong implementation would look right on it)."""
