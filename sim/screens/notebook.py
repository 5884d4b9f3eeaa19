"""Progress bars in a notebook: HTML that is updated in place, without any widget extension."""

from __future__ import annotations

import html
import sys
import time
from typing import Any

from rich.progress import Progress, Task

EVERY_S = 0.2


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this; IPython is never imported for the question."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


class NotebookProgress(Progress):
    """The tasks of rich's bar, shown by Jupyter's display; the last state stays."""

    def __init__(self) -> None:
        super().__init__(auto_refresh=False)
        self._handle: Any = None
        self._shown_at = 0.0

    def start(self) -> None:
        """Show the bars."""
        if self._handle is None:
            from IPython.display import HTML, display

            self._handle = display(HTML(self.html()), display_id=True)

    def stop(self) -> None:
        """Show the last state."""
        self._show()

    def update(self, *args: Any, **changes: Any) -> None:
        """Change a task, and show it unless another change was shown a moment ago."""
        super().update(*args, **changes)
        if time.monotonic() - self._shown_at >= EVERY_S:
            self._show()

    def refresh(self) -> None:
        """Nothing: rich's terminal is not there."""

    def html(self) -> str:
        """All tasks, one line each."""
        return "".join(_line(task) for task in self.tasks) or "&nbsp;"

    def _show(self) -> None:
        self._shown_at = time.monotonic()
        if self._handle is not None:
            from IPython.display import HTML

            self._handle.update(HTML(self.html()))


def _line(task: Task) -> str:
    value = "" if task.total is None else f'max="{task.total:g}" value="{task.completed:g}"'
    share = "" if task.total is None else f"{task.percentage:.0f} %"
    note = html.escape(str(task.fields.get("note", "")))
    words = f"{html.escape(task.description)} <progress {value}></progress> {share} {note}"
    return f'<div style="font-family: monospace">{words}</div>'
