"""A self-contained HTML page: no script, no style sheet, no picture from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, select_autoescape

from sim.reports.section import Section


def document(title: str, lead: str, sections: Sequence[Section]) -> str:
    """The page of some sections."""
    environment = Environment(loader=PackageLoader("sim"), autoescape=select_autoescape(["html"]))
    return environment.get_template("page.html").render(title=title, lead=lead, sections=sections)
