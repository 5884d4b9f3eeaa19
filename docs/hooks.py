"""Hooks of mkdocs: pages get their figures (`benchmarks.figures.shown`), and nothing is loaded from elsewhere."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from mkdocs.exceptions import PluginError  # noqa: E402
from mkdocs.structure.files import File, Files  # noqa: E402

from benchmarks.figures.shown import render  # noqa: E402

SHIM = "https://unpkg.com/iframe-worker/shim"  # of the plugin `offline`; ours is docs/iframe_worker.js
DIAGRAMS = re.compile(r'<script type="module">(?:(?!</script>).)*cdnjs(?:(?!</script>).)*</script>', re.DOTALL)


def on_pre_build(config: Any) -> None:
    """The page of commands is written before: it needs settle, and the site does not."""
    if not (ROOT / "docs" / "reference" / "commands.md").is_file():
        raise PluginError("docs/reference/commands.md is missing: run make docs, or python docs/commands.py first")


def on_files(files: Files, config: Any) -> Files:
    """The pictures of `benchmarks/results`, as files of the folder of figures."""
    for picture in sorted((ROOT / "benchmarks" / "results").glob("*.png")):
        files.append(File.generated(config, f"figures/{picture.name}", abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """The text of a page with its figures; notebooks come as they are."""
    return markdown if page.file.src_path.endswith(".ipynb") else render(markdown)


def on_post_page(output: str, page: Any, config: Any) -> str:
    """The page without what would be loaded from elsewhere: diagrams in notebooks, and a worker for search."""
    return DIAGRAMS.sub("", output.replace(SHIM, "../" * page.url.count("/") + "iframe_worker.js"))


def on_post_template(output_content: str, template_name: str, config: Any) -> str:
    """The same for the page that a server shows where there is none."""
    return output_content.replace(SHIM, "iframe_worker.js")
