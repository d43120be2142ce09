"""`sdtps new-law`: the stubs of a law and of the fault that it must kill, where a checkout has them."""

import keyword
import re
from pathlib import Path

import sdtps_ref
from sdtps_ref.command_line.command import argument, command
from sdtps_ref.errors import InvalidInput
from sdtps_ref.output_files import replace_text

LAW = '''

@law(needs="selector", depends="shape.follows_inputs")
def {claim}(probe: Probe) -> None:
    """The formula: then what it claims, in one line.

    Why: what goes wrong in training where it is broken.
    Breaks when: what people write that breaks it.
    Remedy: the line that is right.
    """
    decision = probe.select().decision
    owed = decision.detach()  # what it should be, made with torch of what `probe` returns
    expect_equal(probe, "decision", "bn", decision, owed)
'''
LAW_IMPORTS = (("kit.expect", "expect_equal"), ("kit.law", "law"), ("kit.probe", "Probe"))
FAULT = '''

@fault(expected_law="{law_id}")
class {fault}(Plain):
    """What it does wrong, in one sentence."""

    # Override the one step of Plain that is wrong: noise, soft, choose, hard, join, gather, mask, weights, wire, ...
'''
FAULT_IMPORTS = (("selftest.planted.baseline", "Plain"), ("selftest.planted.baseline", "fault"))
PACKAGE = "sdtps_ref.properties"


@command()
@argument("law_id", metavar="STAGE.CLAIM", description="the law's id, such as decision.forward_is_hard")
def new_law(law_id: str) -> int:
    """Write the stubs of a law and of its fault into a checkout. `sdtps selftest --law` fails until they are filled."""
    stage, claim = _parts(law_id)
    properties = _checkout() / "properties"
    folder = properties / "laws" / stage
    law_file = folder / f"{claim}.py" if folder.is_dir() else folder.with_suffix(".py")
    fault_file = properties / "selftest" / "planted" / f"{stage}.py"
    fault = "".join(word.capitalize() for word in f"breaks_{claim}".split("_"))
    for path in (*properties.glob(f"laws/{stage}.py"), *properties.glob(f"laws/{stage}/*.py")):
        if re.search(rf"^def {claim}\(", path.read_text(encoding="utf-8"), re.MULTILINE):
            raise InvalidInput.given(f"law {law_id}, which {path} has", "an id that was never used")
    _append(law_file, LAW.format(claim=claim), LAW_IMPORTS, f"A law of stage `{stage}`.")
    _append(fault_file, FAULT.format(law_id=law_id, fault=fault), FAULT_IMPORTS, f"Faults of stage `{stage}`.")
    print(f"wrote {law_file}: def {claim}, the law")
    print(f"wrote {fault_file}: class {fault}, the fault that it must kill")
    print(f"next: fill them in until `sdtps selftest --law {law_id}` has no complaint")
    return 0


def _parts(law_id: str) -> tuple[str, str]:
    parts = law_id.split(".")
    if len(parts) == 2 and all(
        re.fullmatch(r"[a-z][a-z0-9_]*", part) and not keyword.iskeyword(part) for part in parts
    ):
        return parts[0], parts[1]
    raise InvalidInput.given(f"law {law_id!r}", "stage.claim in lower case, such as decision.forward_is_hard")


def _checkout() -> Path:
    """The folder with `pyproject.toml`. Raises InvalidInput for an installed wheel."""
    root = Path(sdtps_ref.__file__).resolve().parents[1]
    if not (root / "properties" / "laws").is_dir():
        raise InvalidInput.given(f"an installation in {root}", "a checkout, installed with `pip install -e .`")
    return root


def _append(path: Path, stub: str, imports: tuple[tuple[str, str], ...], title: str) -> None:
    text = path.read_text(encoding="utf-8") if path.exists() else f'"""{title}"""\n'
    for module, name in imports:
        text = with_import(text, f"{PACKAGE}.{module}", name)
    replace_text(path, text.rstrip("\n") + "\n" + stub)


def with_import(text: str, module: str, name: str) -> str:
    """The source text with `from module import name`, in the order that ruff keeps."""
    found = re.search(rf"^from {re.escape(module)} import (?:\(([^)]*)\)|(.*))$", text, re.MULTILINE)
    if found is not None:
        names = {each.strip() for each in (found[1] or found[2]).split(",") if each.strip()} | {name}
        one_line = f"from {module} import {', '.join(sorted(names, key=_order))}"
        if len(one_line) > 120:
            one_line = f"from {module} import (\n    " + ",\n    ".join(sorted(names, key=_order)) + ",\n)"
        return text[: found.start()] + one_line + text[found.end() :]
    line = f"from {module} import {name}\n"
    ours = list(re.finditer(r"^from (sdtps_ref[\w.]*) import (?:\([^)]*\)|.*)\n", text, re.MULTILINE))
    later = next((each for each in ours if each[1] > module), None)
    if later is not None:
        return text[: later.start()] + line + text[later.start() :]
    every = ours or list(re.finditer(r"^(?:from|import) .*\n", text, re.MULTILINE))
    if every:
        end = every[-1].end()
        return text[:end] + ("" if ours else "\n") + line + text[end:]
    return f"{text}\n{line}"


def _order(name: str) -> tuple[int, str]:
    """Constants, classes, functions, as isort has it."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name
