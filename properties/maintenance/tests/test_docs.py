"""README and the pages in docs/: every block of code in them runs and prints what they say, or says why it does not."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from properties.maintenance.docs_runner import FILE, Block, DocMismatch, blocks_of, calls_of, check_block, write

# How many blocks of code each has, so that none is overlooked; and how many of them a comment keeps from being run.
PAGES = {
    "README.md": (7, 3),
    "docs/certificates.md": (1, 0),
    "docs/compatibility.md": (0, 0),
    "docs/expected-failures.md": (3, 0),
    "docs/guides/certify-in-five-minutes.md": (8, 0),
    "docs/guides/in-ci.md": (3, 0),
    "docs/guides/lightning-timm-tensorboard.md": (8, 0),
    "docs/guides/mend-the-published-class.md": (1, 0),
    "docs/guides/read-a-certificate.md": (2, 0),
    "docs/guides/why-the-loss-exploded.md": (5, 0),
    "docs/hand-over.md": (5, 0),
    "docs/in-practice.md": (0, 0),
    "docs/index.md": (1, 0),
    "docs/pytest.md": (3, 1),
    "docs/shared-cases.md": (1, 0),
    "docs/slower.md": (1, 0),
    "docs/speed.md": (2, 0),
    "docs/threat-model.md": (0, 0),
    "docs/trace.md": (8, 0),
    "docs/trace-cost.md": (0, 0),
    "docs/trace-runs.md": (0, 0),
    "docs/your-own-file.md": (7, 0),
}
# Those that take many certificates, and with them most of a minute.
SLOW = {
    "docs/guides/certify-in-five-minutes.md",
    "docs/guides/read-a-certificate.md",
    "docs/guides/why-the-loss-exploded.md",
    "docs/pytest.md",
    "docs/trace.md",
    "docs/your-own-file.md",
}
# Those that need other packages, which `tox -e companions` has.
COMPANIONS = {"docs/guides/lightning-timm-tensorboard.md": ("lightning", "timm", "tensorboard")}


@pytest.fixture
def checkout(request: pytest.FixtureRequest) -> Path:
    """The checkout whose settings pytest runs with: pages are no part of the wheel."""
    root = Path(request.config.inipath or "").parent
    if not (root / "docs" / "guides").is_dir():
        pytest.skip(f"the pages lie in a checkout, and {root} is none")
    return root


@pytest.fixture
def folder(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What lies beside the guides, the modules that they make, and `sdtps` and `python` on the way to be found."""
    for file in (checkout / "docs" / "guides").iterdir():
        shutil.copy(file, tmp_path)
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, module in (("sdtps", "-m sdtps_ref"), ("pytest", "-m pytest -p no:cacheprovider"), ("python", "")):
        (commands / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n')
        (commands / name).chmod(0o755)
    write_modules(checkout, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name, module in list(sys.modules.items()):  # the next page has a `mine` of its own
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def write_modules(checkout: Path, folder: Path) -> None:
    """The modules that the pages show, put right where they say so, and the adapter that hands them over."""
    pages = [checkout / "docs" / page for page in ("guides/certify-in-five-minutes.md", "hand-over.md")]
    for block in (block for page in [*pages, checkout / "docs" / "your-own-file.md"] for block in blocks_of(page)):
        if FILE.match(block.text):
            write(block.text, folder)
        elif block.language == "console":
            for call in calls_of(block.text):
                if call.command.startswith("sed "):
                    subprocess.run(["bash", "-c", call.command], cwd=folder, check=True)


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in PAGES])
def test_what_a_page_shows_is_so(name: str, checkout: Path, folder: Path) -> None:
    """From top to bottom in one folder: files are written, scripts end well, commands print what stands below them."""
    for package in COMPANIONS.get(name, ()):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed; it is in `tox -e companions`")
    for block in blocks_of(checkout / name):
        if not block.unrun:
            check_block(block, folder)


@pytest.mark.parametrize("name", PAGES)
def test_every_block_is_seen(name: str, checkout: Path) -> None:
    """As many as the page has, of which as many are not run."""
    blocks = blocks_of(checkout / name)

    assert (len(blocks), sum(bool(block.unrun) for block in blocks)) == PAGES[name]


def test_every_page_is_tested(checkout: Path) -> None:
    """A page that is added is added to PAGES."""
    pages = [path.relative_to(checkout).as_posix() for path in (checkout / "docs").rglob("*.md")]

    assert sorted([*pages, "README.md"]) == sorted(PAGES)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", *(page for page in PAGES if "/guides/" in page)])
def test_links_lead_somewhere(name: str, checkout: Path) -> None:
    """Every relative link and picture is a file: those who read these have no site, which checks its own links."""
    page = checkout / name
    targets = re.findall(r"\]\(([\w./-]+)\)", page.read_text())

    absent = [target for target in targets if not (page.parent / target).is_file()]

    assert absent == []


@pytest.mark.parametrize(
    ("language", "text", "says"),
    [
        ("console", "$ echo one\ntwo\n", "prints"),
        ("console", "$ false\n", "exit status 1"),
        ("console", "$ (exit 3)\n$ echo $?\n1\n", "prints"),
        ("console", "$ exit 0\n$ true\n", "before its last command"),
        ("bash", "sdtps certify --no-such-option\n", "is not accepted"),
        ("bash", "sdtps laws\nsdtps merge\n", "sdtps merge is not accepted"),
        ("bash", "tox -e docs\n", "tox is no command of ours"),
        ("yaml", "on: push\n", "a block of yaml"),
    ],
)
def test_a_page_that_is_wrong_is_seen(language: str, text: str, says: str, tmp_path: Path) -> None:
    """Another output, a failing command whose status is not shown, an option that there is not, no reason."""
    (tmp_path / "bin").mkdir()

    with pytest.raises(DocMismatch, match=says):
        check_block(Block("", language, text), tmp_path)


def test_what_is_not_run_says_why(tmp_path: Path) -> None:
    """The reason stands in the comment just above the block, and nowhere else."""
    page = tmp_path / "page.md"
    unrun = "<!-- not run: {} -->\n```bash\nsdtps bench\n```\n\n"
    page.write_text(unrun.format("it takes a GPU") + "```bash\nsdtps laws\n```\n\n" + unrun.format("it takes a year"))

    blocks = blocks_of(page)

    assert [block.unrun for block in blocks] == ["it takes a GPU", "", "it takes a year"]
