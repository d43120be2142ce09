"""Every error this project raises on purpose derives from one class."""


class SDTPSError(Exception):
    """Base of every error that sdtps_ref raises on purpose."""


class InvalidInput(SDTPSError, ValueError):
    """A value was given that the mathematics has no answer for; the message says what is accepted."""

    @classmethod
    def given(cls, what: str, accepted: str) -> "InvalidInput":
        """The one form every such message has: `what` was given, `accepted` would have been right."""
        return cls(f"given {what}; accepted: {accepted}")
