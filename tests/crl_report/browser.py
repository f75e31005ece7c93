"""A real browser that opens a report's page, and finds what it draws.

A script at the beginning of the page acts as the user and writes what it finds into an element, which the browser
prints with the page.
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

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

_ACT = """
<script>
const POLICY = "%s", found = {errors: []};
window.addEventListener("error", event => found.errors.push(event.message));
window.addEventListener("load", async () => {
  const plot = document.getElementById("curves");
  const wait = () => new Promise(resolve => setTimeout(resolve, 400));
  const visible = () => plot.data.filter(trace => trace.name === POLICY).map(trace => trace.visible ?? true);
  await wait();
  found.titles = plot.layout.annotations.map(each => each.text);
  found.panels = plot.querySelectorAll(".cartesianlayer .subplot").length;
  found.lines = plot.querySelectorAll(".scatterlayer .js-line").length;
  found.shaded = plot.layout.shapes.length;
  found.plasticity = document.getElementById("plasticity")?.layout.annotations.map(each => each.text) ?? [];
  plot.on("plotly_hover", event => { found.hovered = event.points.map(each => each.y); });
  const area = plot.querySelector(".draglayer .xy .nsewdrag"), box = area.getBoundingClientRect();
  const place = {bubbles: true, view: window, clientX: box.left + box.width / 4, clientY: box.top + box.height / 2};
  for (const name of ["mouseover", "mousemove"])
    area.dispatchEvent(new MouseEvent(name, place));
  await wait(); await wait();
  found.label = plot.querySelector(".hoverlayer")?.textContent ?? "";
  found.before = visible();
  const entries = [...plot.querySelectorAll(".legend .traces")];
  const entry = entries.find(each => each.textContent.includes(POLICY)).querySelector(".legendtoggle");
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

needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed, so that no page was opened")


def open_page(report: Path, *, policy: str) -> dict[str, Any]:
    """Return what a browser found on a report's page, a click on a policy's legend included."""
    page = report / "acted.html"
    text = (report / "report.html").read_text()
    page.write_text(text.replace("<head>", "<head>" + _ACT.replace("%s", policy)))
    command = [
        str(BROWSER),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        f"--user-data-dir={report / 'profile'}",
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
