"""A case that was written down, in a file or a database, read back with every field checked."""

from dataclasses import MISSING, fields
from typing import Any

from sdtps_ref.errors import InvalidInput
from sdtps_ref.properties.kit.case import DTYPES, LAYOUTS, SCORE_KINDS, TOKEN_KINDS, Case

SIZES = ("batch", "num_tokens", "keep", "dim", "slots")
KINDS = {"dtype": DTYPES, "layout": LAYOUTS, "scores": SCORE_KINDS, "tokens": TOKEN_KINDS}
NEEDED = {known.name for known in fields(Case) if known.default is MISSING and known.default_factory is MISSING}
KNOWN = tuple(known.name for known in fields(Case))


def stored_case(data: Any) -> Case:
    """The case that `Case.to_json` gave, what has a default left out or not.

    Raises InvalidInput, in one line, for a field that is unknown or missing, or whose value no case can have:
    people edit these by hand, and a law must not be blamed for what it was never meant to be asked.
    """
    if not isinstance(data, dict):
        raise InvalidInput.given(f"case {data!r}", f"a table of {', '.join(KNOWN)}")
    unknown = sorted(set(data) - set(KNOWN))
    if unknown:
        raise InvalidInput.given(f"{unknown[0]!r} in a case", ", ".join(KNOWN))
    missing = [name for name in KNOWN if name in NEEDED - set(data)]
    if missing:
        raise InvalidInput.given(f"a case without {', '.join(missing)}", f"one that has {', '.join(SIZES)}")
    for name, value in data.items():
        if not _possible(name, value):
            raise InvalidInput.given(f"{name} = {value!r} in a case", _accepted(name))
    if data["keep"] > data["num_tokens"]:
        raise InvalidInput.given(f"keep = {data['keep']} of num_tokens = {data['num_tokens']} in a case", "no more")
    drawn = data.get("drawn", ())
    if len(drawn) not in (0, data["batch"] * data["num_tokens"]):
        wanted = f"none, or batch * num_tokens = {data['batch'] * data['num_tokens']}"
        raise InvalidInput.given(f"{len(drawn)} drawn scores in a case", wanted)
    packed = tuple(tuple(values) for values in data.get("packed", ()))
    if packed and data["batch"] % len(packed):
        raise InvalidInput.given(f"batch = {data['batch']} of {len(packed)} packed examples in a case", "a multiple")
    read = {"drawn": tuple(map(float, drawn)), "tau": float(data.get("tau", 1.0)), "packed": packed}
    return Case(**data | read)


def _possible(name: str, value: Any) -> bool:
    if name in SIZES:
        return _whole(value) and value >= 1
    if name == "seed":
        return _whole(value) and value >= 0
    if name == "tau":
        return _number(value) and value > 0
    if name == "training":
        return isinstance(value, bool)
    if name == "drawn":
        return isinstance(value, (list, tuple)) and all(map(_number, value))
    if name == "packed":
        return isinstance(value, (list, tuple)) and all(map(_example, value))
    return isinstance(value, str) and value in KINDS.get(name, (value,))


def _accepted(name: str) -> str:
    if name in KINDS:
        return ", ".join(KINDS[name])
    words = {"tau": "a number over 0", "training": "true or false", "drawn": "a list of numbers", "device": "a name"}
    words["packed"] = "a list of [scores, tokens, seed]"
    return words.get(name, f"a whole number of {0 if name == 'seed' else 1} or more")


def _example(values: Any) -> bool:
    return (
        isinstance(values, (list, tuple))
        and len(values) == 3
        and all(_possible(name, value) for name, value in zip(("scores", "tokens", "seed"), values, strict=True))
    )


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
