"""The page in a real browser: how large its elements are, whether anything runs over, and what the console says."""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import shutil
import subprocess
import threading
from html import unescape
from pathlib import Path

import pytest
import torch
from torch import nn

from sdtps_ref import trace
from sdtps_ref.properties.tracing.tests.conftest import MASK

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason=f"none of {', '.join(NAMES)} is on PATH"),
    pytest.mark.slow,
]

# A page around the page: it measures what is in the frame, which itself allows no script.
HARNESS = """<!doctype html><body style="margin:0"><iframe id="f" src="t.html" width="{width}" height="2000"></iframe>
<script>
document.getElementById("f").onload = () => {{
  const page = document.getElementById("f").contentDocument, root = page.documentElement;
  const box = e => {{ const r = e.getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; }};
  const all = s => [...page.querySelectorAll(s)].map(box);
  const out = document.createElement("pre");
  out.id = "measured";
  out.textContent = JSON.stringify({{
    wide: root.scrollWidth, seen: root.clientWidth, bars: all(".track .bar"), tracks: all(".track"), owed: all(".track .owed"),
    cells: all(".cells i"), kept: all(".cells i.kept").length, names: [...page.querySelectorAll(".rung .name")].map(e => e.textContent),
    text: Math.min(...[...page.querySelectorAll(".rung .name, .rung .value, p, dd")].map(e => parseFloat(getComputedStyle(e).fontSize))),
    ground: getComputedStyle(page.body).backgroundColor, ink: getComputedStyle(page.body).color,
    over: [...page.querySelectorAll("body *")].filter(e => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== "inline"
      && !["auto", "scroll", "hidden"].includes(getComputedStyle(e).overflowX)).map(e => e.className + " " + e.tagName),
  }});
  document.body.append(out);
}};
</script></body>"""  # noqa: E501


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


def measured(folder: Path, width: int, dark: bool) -> tuple[dict, str]:
    """What the harness measures at this width, and what the browser wrote on its console."""
    (folder / "harness.html").write_text(HARNESS.format(width=width))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    options = ["--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    options += ["--enable-logging=stderr", f"--user-data-dir={folder / 'profile'}"]
    options += ["--virtual-time-budget=5000", "--window-size=1400,2200"]
    options += ["--no-sandbox"] if os.geteuid() == 0 else []  # there is none for root
    options += [f"--blink-settings=preferredColorScheme={0 if dark else 1}"]
    try:
        address = f"http://127.0.0.1:{server.server_port}/harness.html"
        done = subprocess.run(
            [BROWSER, *options, "--dump-dom", address], capture_output=True, text=True, timeout=120, check=True
        )
    finally:
        server.shutdown()
    found = re.search(r'<pre id="measured">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stdout[-2000:]
    console = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    return json.loads(unescape(found[1])), console


@pytest.fixture
def page(script, tmp_path) -> Path:
    """The page of a sick step whose N is a square for one kind of tokens."""
    module = script(MASK, ('LENGTHS = {"patches": 24, "frames": 20}', 'LENGTHS = {"patches": 25, "frames": 20}'))
    torch.manual_seed(0)
    model = module.Reader()
    batch, target = module.data(0)
    with trace(model) as seen:
        nn.functional.cross_entropy(model(batch), target).backward()
    seen.html(tmp_path / "t.html")
    return tmp_path


@pytest.mark.parametrize(("width", "dark"), [(1200, False), (1200, True), (380, False)])
def test_page_is_legible(page, width, dark):
    """Nothing is wider than the window, text is 12 pixels at least, bars are drawn to scale, and no error is logged."""
    found, console = measured(page, width, dark)

    assert not console
    assert found["wide"] <= found["seen"], found["over"]
    assert not found["over"]
    assert found["text"] >= 12
    names = found["names"]
    assert len(names) == len(found["tracks"]) and {"loss", "D", "score"} <= set(names)
    lengths = [bar[2] for bar in found["bars"]]
    assert lengths[names.index("D")] > 3 * lengths[names.index("masked logits")]
    assert all(track[3] >= 12 and track[2] > 100 for track in found["tracks"])
    owed_at_d, bar_of_d = found["owed"][names.index("D")], found["bars"][names.index("D")]
    assert owed_at_d[0] < bar_of_d[0] + bar_of_d[2] / 2  # what is owed lies far below what came
    cells = found["cells"]
    assert len(cells) == 4 * 25 and found["kept"] == 4 * 6
    assert all(abs(cell[2] - cell[3]) < 1.5 and cell[2] >= 10 for cell in cells)
    assert len({round(cell[1]) for cell in cells[:25]}) == 5  # a grid of five rows
    light = sum(map(int, re.findall(r"\d+", found["ground"])[:3])) > sum(map(int, re.findall(r"\d+", found["ink"])[:3]))
    assert light != dark
