"""Checks the built site: no dead link within it, nothing loaded from elsewhere. Exit code 1 if there is one.

    python docs/check_site.py [FOLDER]

Links to other sites are counted, not followed: the check works offline.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

LOADED = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "embed": "src",
}
LOADING_LINKS = {"stylesheet", "preload", "prefetch", "preconnect", "dns-prefetch", "icon", "modulepreload", "manifest"}
ELSEWHERE = re.compile(r"^(https?:)?//", re.IGNORECASE)
CSS_URL = re.compile(r"url\(\s*['\"]?((?:https?:)?//[^)'\"]+)|@import\s+['\"]((?:https?:)?//[^'\"]+)", re.IGNORECASE)


class Page(HTMLParser):
    """What a page points at: links, what it loads, and the anchors it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self._style = False
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note the attributes that point somewhere."""
        given = {name: value or "" for name, value in attributes}
        self._style = tag == "style"
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        elif tag == "link" and set(given.get("rel", "").split()) & LOADING_LINKS:
            self.loads.append(given.get("href", ""))
        elif given.get(LOADED.get(tag, "")):
            self.loads.append(given[LOADED[tag]])
        self.loads += [part for found in CSS_URL.findall(given.get("style", "")) for part in found if part]

    def handle_data(self, data: str) -> None:
        """Note what a style element loads."""
        if self._style:
            self.loads += [part for found in CSS_URL.findall(data) for part in found if part]

    def handle_endtag(self, tag: str) -> None:
        """A style element ends."""
        self._style = False


def check(folder: Path) -> tuple[list[str], int, int]:
    """What is wrong, the number of links within the site, and of those to elsewhere."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.html"))}
    wrong, within, without = [], 0, 0
    for path, page in pages.items():
        name = path.relative_to(folder)
        wrong += [f"{name}: loads {source}" for source in page.loads if ELSEWHERE.match(source)]
        for link in [*page.links, *(source for source in page.loads if not ELSEWHERE.match(source))]:
            if re.match(r"^(https?:|mailto:|data:|javascript:|//)", link):
                without += 1
                continue
            within += 1
            file, anchor = urldefrag(link)
            target = (path.parent / unquote(file)).resolve() if file else path
            target = target / "index.html" if target.is_dir() else target
            if path.name == "404.html":  # its links begin at the root of a server
                continue
            if not target.is_file():
                wrong.append(f"{name}: dead link {link}")
            elif anchor and target in pages and unquote(anchor) not in pages[target].anchors | {"__top"}:
                wrong.append(f"{name}: no anchor {link}")
    for path in sorted(folder.rglob("*.css")):
        found = CSS_URL.findall(path.read_text(encoding="utf-8"))
        wrong += [f"{path.relative_to(folder)}: loads {part}" for pair in found for part in pair if part]
    return wrong, within, without


def main() -> None:
    """Entry point."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "site").resolve()
    wrong, within, without = check(folder)
    print("\n".join(wrong))
    print(f"{within} links within the site, {len(wrong)} wrong; {without} links to elsewhere, not followed")
    sys.exit(1 if wrong or not within else 0)


if __name__ == "__main__":
    main()
