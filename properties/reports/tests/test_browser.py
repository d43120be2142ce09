"""The page in a real browser: what it makes of it, what it loads, and whether a script of the subject's ran."""

import http.server
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from sdtps_ref.properties.certificates.certificate import Certificate
from sdtps_ref.properties.reports.html import html

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
QUIET = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason=f"none of {', '.join(NAMES)} is on PATH"),
    pytest.mark.slow,
]


class Document(HTMLParser):
    """The elements of a document, each with its attributes, and the text of its title."""

    def __init__(self, source: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.title, self.within = "", ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """As the parser calls it."""
        self.elements.append((tag, dict(attrs)))
        self.within = tag

    def handle_endtag(self, tag: str) -> None:
        """As the parser calls it."""
        self.within = ""

    def handle_data(self, data: str) -> None:
        """As the parser calls it."""
        self.title += data if self.within == "title" else ""

    def count(self, tag: str) -> int:
        """How many elements of that kind there are."""
        return sum(tag == name for name, _ in self.elements)


def opened(page: Path, folder: Path) -> Document:
    """What the browser has made of a page once it was loaded and all its scripts, if any, have run."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # there is none for root
    command = [BROWSER, *QUIET, *sandbox, f"--user-data-dir={folder / 'profile'}", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return Document(done.stdout)


@pytest.fixture
def outside() -> Iterator[tuple[str, list[str]]]:
    """A server on this machine, and the paths that were asked of it."""
    asked: list[str] = []

    class Remember(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Remember)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def plain(measured: Certificate, tmp_path_factory: pytest.TempPathFactory) -> Document:
    """The page of a subject that says nothing untoward."""
    page = tmp_path_factory.mktemp("plain") / "certificate.html"
    page.write_text(html(measured))
    return opened(page, page.parent)


def test_the_page_in_a_browser(plain: Document, measured: Certificate) -> None:
    """Every figure is drawn, and every law has its row below that of its stage."""
    stages = {result.id.partition(".")[0] for result in measured.laws}

    assert plain.title == "both: refused by sdtps"
    assert plain.count("figure") == plain.count("svg") == 4
    assert plain.count("path") > 100
    assert plain.count("tr") == 1 + len(measured.laws) + len(stages)


def test_nothing_of_a_hostile_subject_runs_or_loads(
    plain: Document, hostile: Certificate, tmp_path: Path, outside: tuple[str, list[str]]
) -> None:
    """Its scripts and handlers are text, and nothing is asked of any address; a page that does is seen to."""
    address, asked = outside
    lure = f"<img src='{address}/image'><script src='{address}/run'></script><style>@import '{address}/style'</style>"
    target = f"{hostile.implementation['target']}{lure}"
    page, control = tmp_path / "certificate.html", tmp_path / "control.html"
    page.write_text(html(replace(hostile, implementation=hostile.implementation | {"target": target})))
    control.write_text(f"<title>plain</title><script>document.title = 'owned'</script>{lure}")

    document = opened(page, tmp_path)
    asked_by_page = list(asked)
    careless = opened(control, tmp_path)

    attributes = {(tag, name) for tag, held in document.elements for name in held}
    known = {(tag, name) for tag, held in plain.elements for name in held}
    links = {held.get("href") or "" for tag, held in document.elements if tag == "a"}
    assert "document.title='owned'" in document.title and document.title != "owned"
    assert {tag for tag, _ in document.elements} == {tag for tag, _ in plain.elements}
    assert attributes <= known
    assert all(link.startswith("#") for link in links)
    assert asked_by_page == []
    assert (careless.title, sorted(asked)) == ("owned", ["/image", "/run", "/style"])
