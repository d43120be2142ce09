"""A configuration object that nobody described: it has whatever is asked for, valued by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sdtps_ref.properties.watching.sizes import value_for


class Settings(dict[str, Any]):
    """A configuration that has whatever is asked for, by attribute, key or `get`, valued by its name.

    spelt: values by name that go before what the name alone suggests. trail: what was read, the latest last, each as
    the settings that it was read from and its name, so that a value which was no good is found again.
    by_attribute: whether anything was read as an attribute.
    """

    def __init__(self, spelt: Mapping[str, Any] | None = None, trail: list[tuple[Settings, str]] | None = None) -> None:
        super().__init__()
        object.__setattr__(self, "_spelt", spelt or {})
        object.__setattr__(self, "by_attribute", False)
        object.__setattr__(self, "trail", [] if trail is None else trail)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        object.__setattr__(self, "by_attribute", True)
        return self[name]

    def __getitem__(self, name: str) -> Any:
        self.trail.append((self, name))
        return super().__getitem__(name)

    def __missing__(self, name: str) -> Any:
        plain = str(name)
        try:
            value = self._spelt[plain] if plain in self._spelt else value_for(plain, like=self.nested)
        except LookupError:
            value = self.nested() if plain.isupper() or plain.istitle() else False
        self[name] = value
        return value

    def nested(self) -> Settings:
        """Settings within these, with the same trail."""
        return Settings(self._spelt, self.trail)

    def get(self, name: str, default: Any = None) -> Any:
        """What was asked for; the caller's default where it has one."""
        return self[name] if default is None else default

    def __contains__(self, name: object) -> bool:
        return True

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)
