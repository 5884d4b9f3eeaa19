"""Reports as tests read them, and what every one of them must be."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from neuro.artifact.run_folder import load_artifact
from neuro.spec.sigma_delta import NetworkSpec
from sim.evaluate import data_of
from sim.training.equilibrium import infer

HEADINGS = [
    "Learning",
    "Settling",
    "One image through the three phases",
    "Spikes per step",
    "Spikes per inference",
    "Receptive fields",
    "Confusion",
    "Does another backend compute the same?",
    "The network",
    "Provenance",
]


COMPARISON = ["Side by side", "In numbers", "Accuracy", "Spikes"]
DRAWN = COMPARISON[2:]
NARROWEST = 390  # pixels


class Page(HTMLParser):
    """Tags, headings, references and text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.source = path.read_text(encoding="utf-8")
        self.tags: list[str] = []
        self.references: list[str] = []
        self.headings: list[str] = []
        self.text = ""
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "data")]
        if tag in ("h2", "h3"):
            self.headings.append("")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.tags and self.tags[-1] in ("h2", "h3") and self.headings:
            self.headings[-1] += data.strip()


def check_layout(page: Page) -> None:
    """Nothing can be wider than a narrow screen: pictures shrink, tables scroll, and no width is fixed above it."""
    figures = re.findall(r"<svg [^>]*>", page.source)
    assert figures
    assert all("viewBox=" in figure and 'role="img"' in figure and "aria-label=" in figure for figure in figures)
    style, _, body = page.source.partition("</style>")
    assert re.search(r"\bsvg \{[^}]*max-width: 100%; height: auto", style)
    assert re.search(r"\.scroll \{ overflow-x: auto; \}", style)
    assert body.count("<table") == body.count('<div class="scroll"><table')
    widths = [int(found) for found in re.findall(r"(?<![-\w])(?:min-)?width: (\d+)px", style)]
    assert all(width <= NARROWEST for width in widths)
    assert not re.search(r"<(?:div|table|td|th|p|figure|span)\b[^>]*\bstyle=", body)
    identifiers = re.findall(r'\bid="([^"]+)"', body)
    assert {found[1:] for found in page.references if found.startswith("#")} <= set(identifiers)
    assert len(page.source) < 1_500_000


def headings_of(folder: Path) -> list[str]:
    spec = load_artifact(folder).spec
    if isinstance(spec, NetworkSpec):
        return HEADINGS
    title = f"One image through its slots: {', '.join(spec.schedule.slots)}"
    return [title if heading.startswith("One image") else heading for heading in HEADINGS]


def spikes_of(folder: Path) -> float:
    """Spikes per inference over the test set, measured again."""
    artifact = load_artifact(folder)
    return infer(artifact.spec, data_of(artifact).x_test).spikes_per_inference(artifact.spec)


def check_page(page: Page, folders: list[Path]) -> None:
    """What every report must be: self-contained, complete, with provenance."""
    assert page.source.startswith("<!doctype html>")
    parts = [part for folder in folders for part in (str(folder), *headings_of(folder))]
    shared = COMPARISON if len(folders) > 1 else []
    assert page.headings == [*shared, *parts]
    assert page.tags.count("svg") == 9 * len(folders) + sum(heading in DRAWN for heading in shared)
    check_layout(page)
    assert {"script", "link", "iframe", "object", "embed", "base"}.isdisjoint(page.tags)
    assert page.references
    assert all(reference.startswith(("#", "data:")) for reference in page.references)
    assert not re.search(r"url\(\s*['\"]?(?!#|data:|['\"]?#)|@import", page.source)
    assert not re.search(r"\b(nan|inf)\b", page.text, re.IGNORECASE)
    for folder in folders:
        manifest = load_artifact(folder).manifest
        assert manifest["files"]["weights.npz"] in page.text
        assert manifest["data"]["sha256"] in page.text
        assert f"{spikes_of(folder):.1f}" in page.text
