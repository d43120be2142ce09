"""A page for each stage of laws, from their docstrings and from the faults that are planted for them."""

from importlib import import_module

from prose import first_line, prose

from sdtps_ref.properties.cli.laws import SLOW
from sdtps_ref.properties.kit.law import SECTIONS, Law, all_laws
from sdtps_ref.properties.selftest.planted.baseline import FAULTS, plant_all

BEFORE = """\
# Laws

{count} laws, each one claim that any right implementation meets. **MUST**: who breaks it is refused. **SHOULD**: who
breaks it gets a warning with advice. A law whose foundation failed is blocked, since its own answer would mean nothing.
`sdtps explain LAW` prints what stands here.

"""


def law_pages() -> dict[str, str]:
    """{path: Markdown}: an index, and a page a stage."""
    plant_all()
    stages: dict[str, list[Law]] = {}
    for law_id, law in sorted(all_laws().items()):
        stages.setdefault(law_id.partition(".")[0], []).append(law)
    pages = {f"laws/{stage}.md": _stage(stage, laws) for stage, laws in stages.items()}
    return {"laws/index.md": _index(stages)} | pages


def _index(stages: dict[str, list[Law]]) -> str:
    lines = [BEFORE.format(count=len(all_laws()))]
    for stage, laws in stages.items():
        lines += [f"## [{stage}]({stage}.md)", "", _about(stage), "", "| law | level | claim |", "|---|---|---|"]
        lines += [f"| {_link(law.id)} | {law.level} | {prose(_claim(law)[0])} |" for law in laws]
        lines.append("")
    return "\n".join(lines)


def _stage(stage: str, laws: list[Law]) -> str:
    return "\n".join([f"# {stage}", "", _about(stage), "", *map(_law, laws)])


def _about(stage: str) -> str:
    return first_line(import_module(f"sdtps_ref.properties.laws.{stage}"))


def _law(law: Law) -> str:
    facts = [f"**{law.level}**", f"needs {prose(', '.join(law.needs).replace('|', ' or '))}"]
    if law.depends:
        facts.append(f"rests on {', '.join(map(_link, law.depends))}")
    if law.budget in SLOW:
        facts.append(f"{SLOW[law.budget]}, so left out of profile quick")
    lines = [f"## `{law.id}` {{#{law.id}}}", "", " · ".join(facts), "", '!!! quote ""', ""]
    lines += [f"    {prose(paragraph)}\n" for paragraph in _claim(law)]
    for section in SECTIONS:
        lines += [f"**{section}:** {prose(law.sections[section])}", ""]
    killed = {name: planted for name, planted in sorted(FAULTS.items()) if planted.expected_law == law.id}
    lines += ["**Must kill:**", ""]
    lines += [f"- `{name}`: {first_line(planted)}" for name, planted in killed.items()]
    return "\n".join([*lines, ""])


def _claim(law: Law) -> list[str]:
    return law.sections["Claim"].split("\n\n")


def _link(law_id: str) -> str:
    return f"[`{law_id}`]({law_id.partition('.')[0]}.md#{law_id})"
