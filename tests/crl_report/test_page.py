"""The page in a real browser: what it draws, what it says of itself, and what a user does with it.

A script at the end of the page acts as the user and writes what it finds into an element, which the browser prints with
the page.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from crl_core.cli.main import main

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

_ACT = """
<script>
const found = {errors: []};
window.addEventListener("error", event => found.errors.push(event.message));
window.addEventListener("load", async () => {
  const plot = document.getElementById("curves");
  const wait = () => new Promise(resolve => setTimeout(resolve, 400));
  const visible = () => plot.data.filter(trace => trace.name === "clear").map(trace => trace.visible ?? true);
  await wait();
  found.titles = plot.layout.annotations.map(each => each.text);
  found.panels = plot.querySelectorAll(".cartesianlayer .subplot").length;
  found.lines = plot.querySelectorAll(".scatterlayer .js-line").length;
  found.shaded = plot.layout.shapes.length;
  plot.on("plotly_hover", event => { found.hovered = event.points.map(each => each.y); });
  const area = plot.querySelector(".draglayer .xy .nsewdrag"), box = area.getBoundingClientRect();
  const place = {bubbles: true, view: window, clientX: box.left + box.width / 4, clientY: box.top + box.height / 2};
  for (const name of ["mouseover", "mousemove"])
    area.dispatchEvent(new MouseEvent(name, place));
  await wait(); await wait();
  found.label = plot.querySelector(".hoverlayer")?.textContent ?? "";
  found.before = visible();
  const entries = [...plot.querySelectorAll(".legend .traces")];
  const entry = entries.find(each => each.textContent.includes("clear")).querySelector(".legendtoggle");
  for (const name of ["mousedown", "mouseup"])
    entry.dispatchEvent(new MouseEvent(name, {bubbles: true, view: window}));
  await wait(); await wait();
  found.after = visible();
  const result = document.createElement("pre");
  result.id = "found";
  result.textContent = JSON.stringify(found);
  document.body.append(result);
});
</script>
"""

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed, so that the page was not opened")


@pytest.fixture
def seen(make_run: Any, tmp_path: Path) -> dict[str, Any]:
    """Return what a browser found on a page of two policies with three runs each."""
    for policy in ("ppo", "clear"):
        for seed in range(3):
            evaluations = {0: {0: 0.0, 10: 5.0 + seed, 20: 10.0, 40: 4.0}, 1: {0: 1.0, 20: 3.0, 40: 9.0 - seed}}
            make_run(f"study/{policy}{seed}", evaluations, policy=policy, seed=seed)
    with pytest.raises(SystemExit):
        main(["report", str(tmp_path / "study"), "--output", str(tmp_path / "report")])
    page = tmp_path / "report/acted.html"
    text = (tmp_path / "report/report.html").read_text()
    page.write_text(text.replace("<head>", "<head>" + _ACT))
    command = [
        str(BROWSER),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--host-resolver-rules=MAP * ~NOTFOUND",  # the page must not need a network
        "--virtual-time-budget=20000",
        "--dump-dom",
        page.as_uri(),
    ]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    match = re.search(r'<pre id="found">(.*?)</pre>', printed.stdout, re.DOTALL)
    assert match, printed.stderr[-2000:]
    found: dict[str, Any] = json.loads(html.unescape(match[1]))
    found["console"] = [line for line in printed.stderr.splitlines() if ":CONSOLE" in line]
    return found


def test_the_page_draws_and_answers(seen: dict[str, Any]) -> None:
    assert seen["errors"] == []
    assert seen["console"] == []
    assert seen["titles"] == ["a", "b", "average over tasks"]
    assert seen["panels"] == 3
    assert seen["lines"] >= 6  # a mean for each policy in each panel
    assert seen["shaded"] == 2
    assert seen["hovered"]
    assert "6 (" in seen["label"]  # the mean of 5, 6 and 7, with its interval
    assert "3 runs" in seen["label"]
    assert seen["before"] == [True] * 9
    assert seen["after"] == ["legendonly"] * 9
