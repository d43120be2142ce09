"""Every error this project raises on purpose derives from one class."""

from collections.abc import Iterable


class SDTPSError(Exception):
    """Base of every error that sdtps_ref raises on purpose."""


class InvalidInput(SDTPSError, ValueError):
    """A value was given that the mathematics has no answer for; the message says what is accepted."""

    @classmethod
    def given(cls, what: str, accepted: str) -> "InvalidInput":
        """The one form every such message has: `what` was given, `accepted` would have been right."""
        return cls(f"given {what}; accepted: {accepted}")

    @classmethod
    def unknown(cls, kind: str, name: str, known: Iterable[str], accepted: str = "{}") -> "InvalidInput":
        """A name that is not among those that are known, with the one that was probably meant."""
        from difflib import get_close_matches  # slow to import, and seldom needed

        names = list(known)
        near = get_close_matches(name, names, 1, cutoff=0.7)  # the laws of a stage begin alike
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        return cls.given(f"{kind} {name!r}{meant}", accepted.format(", ".join(names)))
