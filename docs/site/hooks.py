"""What mkdocs asks while it builds: the pages that are made from the code, so that none of them can go stale."""

import re
from pathlib import Path

from causes_page import causes_page
from commands_page import commands_page
from laws_pages import law_pages
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from python_pages import contract_page, python_page
from watching_page import watching_page

from sdtps_ref.benchmarks.trainability import digits_record, record
from sdtps_ref.benchmarks.trainability.plot import svg

ROOT = Path(__file__).resolve().parents[2]
# What lies at the top of the checkout: where it is on the site, and what its links are there.
ELSEWHERE = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
LAWS = law_pages()
CURVES = "<!-- On the site the curves are drawn here. -->"
DIGITS = "<!-- On the site the runs on the digits are drawn here. -->"
ABROAD = re.compile(r"""<(?:script|link|img|iframe)[^>]*\s(?:src|href)=["']?(https?://[^"'\s>]+)""")


def on_config(config: MkDocsConfig) -> None:
    """Give the laws' part of the navigation a page a stage."""
    for part in config.nav or []:
        if "Laws" in part:
            part["Laws"] = list(LAWS)


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the generated pages."""
    made = LAWS | {
        "reference/contract.md": contract_page(),
        "reference/commands.md": commands_page(),
        "reference/python.md": python_page(),
        "who-watches.md": watching_page(),
        "causes.md": causes_page(),
    }
    for place, content in made.items():
        files.append(File.generated(config, place, content=content))
    # Its data lie beside the page that shows it.
    curves = svg(record.read(ROOT / "docs" / "guides" / "trainability.json"))
    files.append(File.generated(config, "guides/trainability.svg", content=curves))
    pictures = digits_record.svg(digits_record.read(ROOT / "docs" / "guides" / "digits.json"))
    files.append(File.generated(config, "guides/digits.svg", content=pictures))
    for source, place in ELSEWHERE.items():
        files.append(File.generated(config, place, content=as_page((ROOT / source).read_text(encoding="utf-8"))))


def on_page_markdown(markdown: str, page: object, config: MkDocsConfig, files: Files) -> str:
    """Put the curves where a page asks for them, and read what is folded away as Markdown, as GitHub does."""
    curves = "![Loss and gradient norm over 400 steps, under Adam and SGD](trainability.svg)"
    digits = "![Test accuracy and last loss of every variant on the digits, under Adam and SGD](digits.svg)"
    return markdown.replace(CURVES, curves).replace(DIGITS, digits).replace("<details>", '<details markdown="1">')


def on_post_page(output: str, page: object, config: MkDocsConfig) -> None:
    """Refuse a page that loads something from elsewhere. Raises PluginError."""
    if found := ABROAD.search(output):
        raise PluginError(f"{page} loads {found[1]}; accepted: what lies on the site itself")


def as_page(text: str) -> str:
    """A file of the checkout's top level, its links as they are among the pages."""
    for source, place in ELSEWHERE.items():
        text = text.replace(f"]({source})", f"]({place})")
    return text.replace("](docs/", "](")
