"""What a browser makes of a page: which of its elements are wider than they may be."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium: what overflows in a browser is not looked at")
LOOK = """
onload = () => {
  const found = [];
  for (const frame of document.querySelectorAll("iframe")) {
    const page = frame.contentDocument, wide = [], limit = page.documentElement.clientWidth;
    for (const element of page.querySelectorAll("body *")) {
      if (element.tagName !== "svg" && element.closest("svg")) continue;
      if (element.closest(".scroll") && !element.matches(".scroll")) continue;
      const name = element.tagName + " " + element.textContent.trim().slice(0, 40);
      if (element.getBoundingClientRect().right > limit + 1) wide.push(name + ": beyond the screen");
      const style = page.defaultView.getComputedStyle(element), inner = element.scrollWidth > element.clientWidth + 1;
      if (inner && element.clientWidth && style.display !== "inline" && style.overflowX === "visible")
        wide.push(name + ": wider than its place");
    }
    if (page.documentElement.scrollWidth > limit) wide.push("the page");
    found.push(wide);
  }
  document.body.dataset.found = JSON.stringify(found);
};
"""


def overflowing(shown: Sequence[tuple[str, int]], folder: Path) -> list[list[str]]:
    """Of each page, shown on a screen of so many pixels: elements that do not fit, but for tables that scroll.

    folder: for the browser's own files.
    """
    assert BROWSER is not None
    frames = "".join(
        f'<iframe style="border: 0; width: {width}px; height: 900px" srcdoc="{html.escape(source)}"></iframe>'
        for source, width in shown
    )
    probe = folder / "probe.html"
    probe.write_text(f'<meta charset="utf-8"><body>{frames}<script>{LOOK}</script></body>', encoding="utf-8")
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'browser'}",
               "--window-size=1300,1000", "--dump-dom", probe.as_uri()]  # fmt: skip
    answer = subprocess.run(command, capture_output=True, text=True, timeout=50, check=True).stdout
    found = re.search(r'data-found="([^"]*)"', answer)
    assert found is not None, "the browser did not run the script"
    wide: list[list[str]] = json.loads(html.unescape(found[1]))
    return wide
