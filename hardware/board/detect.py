"""Is there a board, and what it needs."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from types import ModuleType

from neuro.base.errors import UserError

INSTALL = (
    "install lava-loihi, which Intel gives to members of its research community (INRC), beside lava-nc 0.10 on "
    "Python 3.10"
)


@dataclass(frozen=True)
class Board:
    """What this machine offers. lava: Lava itself; extension: Intel's lava-loihi; boards: of a Slurm cluster."""

    lava: bool
    extension: bool
    slurm: bool
    boards: tuple[str, ...]

    def __str__(self) -> str:
        if not self.lava:
            return "no Lava in this Python"
        if not self.extension:
            return "Lava without the Loihi extension (lava-loihi): no board can be reached"
        where = f"Slurm, boards {', '.join(self.boards) or 'none'}" if self.slurm else "no Slurm"
        return f"Lava with the Loihi extension; {where}"


def detect() -> Board:
    """Ask Lava what is installed and which boards it sees. The one place that asks; starts nothing."""
    if importlib.util.find_spec("lava") is None or importlib.util.find_spec("lava.utils") is None:
        return Board(False, False, False, ())
    loihi, slurm = _lava_module("lava.utils.loihi"), _lava_module("lava.utils.slurm")
    extension = bool(loihi.is_installed())
    on_slurm = extension and bool(slurm.is_available())
    boards = tuple(str(board.nodename) for board in slurm.get_boards()) if on_slurm else ()
    return Board(True, extension, on_slurm, boards)


def _lava_module(name: str) -> ModuleType:
    return importlib.import_module(name)


def require_extension() -> Board:
    """The board of this machine. Raises: UserError if it cannot reach a chip: what is missing, what to do now."""
    board = detect()
    if not board.extension:
        raise UserError(
            f"backend loihi2: {board}; {INSTALL}. Without it: settle evaluate RUN --backend lava computes the same "
            "integers on CPU, settle compile RUN --dry-run checks what the chip can hold"
        )
    return board
