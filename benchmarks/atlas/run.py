"""An atlas, shard by shard: one shard is one row under one seed. Every cell is a file; what is there is not done again.

Several processes or machines can share the shards (`settle atlas --shard i/n`). A later call with more seeds, rows or
columns measures only what is missing; another question (data, sizes, hidden) needs another folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.atlas.cells import Cell, cell_of, empty
from benchmarks.atlas.config import AtlasConfig
from benchmarks.atlas.measures import MEASURES, TOGETHER, Asked, place_of
from benchmarks.atlas.mechanisms import own_rows, rows_of
from benchmarks.atlas.subject import Training, at_most
from neuro.base.checks import require_choice
from neuro.base.errors import UserError
from neuro.base.files import json_bytes, parse_json, read_bytes, shown, write_atomically
from neuro.data.sets import Dataset, load_dataset

QUESTION = "question.json"
OF_OTHERS = (UserError, RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError, OSError)


class AtlasRun:
    """One atlas in one folder. own: rows of the user's, each NAME=module:object."""

    verb, work, on_gpu = "atlas", f"{__name__}:do_request", False

    def __init__(self, config: AtlasConfig, folder: Path, own: Sequence[str] = ()) -> None:
        self.folder, self.own = folder, tuple(own)
        self.rows = rows_of(config.rows, own_rows(own))
        for column in config.columns or ():
            require_choice("column", column, MEASURES)
        self.columns = tuple(config.columns or MEASURES)
        self.config = replace(config, rows=tuple(self.rows), columns=self.columns)
        self._data: dict[int, Dataset] = {}
        self._require_question()

    def _require_question(self) -> None:
        """Raise UserError if the folder holds cells of another question; write this one where none is."""
        path = self.folder / QUESTION
        asked = {**self.config.asked, "data_sha256": self.dataset(0).sha256()}
        if path.is_file() and parse_json(read_bytes(path), path) != asked:
            raise UserError(f"--out {shown(self.folder)}: holds an atlas of another question; give another folder")
        if not path.is_file():
            write_atomically(path, json_bytes(asked))

    def dataset(self, seed: int) -> Dataset:
        """The data of a seed: its training images, few enough, and its test images."""
        if seed not in self._data:
            whole = load_dataset(self.config.data, seed)
            self._data = {seed: at_most(whole, self.config.scale.train, seed)}  # one is held at a time
        return self._data[seed]

    @property
    def n_shards(self) -> int:
        """Rows under all seeds."""
        return len(self.rows) * self.config.seeds

    def place(self, shard: int) -> tuple[str, int]:
        """The row and the seed of a shard, counted from 1; all rows of a seed come first."""
        if not 1 <= shard <= self.n_shards:
            raise UserError(f"shard {shard} of {self.n_shards}: rows and seeds make {self.n_shards} shards")
        seed, row = divmod(shard - 1, len(self.rows))
        return tuple(self.rows)[row], seed

    def path(self, row: str, seed: int, column: str) -> Path:
        """The file of a cell."""
        return place_of(self.folder, row, seed, column)

    def cell(self, row: str, seed: int, column: str) -> Cell:
        """A cell that was measured. Raises: UserError if its file is damaged."""
        path = self.path(row, seed, column)
        return cell_of(parse_json(read_bytes(path), path), shown(path))

    def to_do(self, shard: int) -> list[str]:
        """The columns of a shard that are not there."""
        row, seed = self.place(shard)
        return [column for column in self.columns if not self.path(row, seed, column).is_file()]

    def missing(self) -> list[int]:
        """The shards, counted from 1, with cells still to measure."""
        return [shard for shard in range(1, self.n_shards + 1) if self.to_do(shard)]

    def prepare(self) -> None:
        """Nothing: shards share nothing."""

    def request(self, shard: int) -> dict[str, Any]:
        """What `do_request` needs to do a shard elsewhere."""
        return {"config": asdict(self.config), "folder": str(self.folder.resolve()), "own": self.own, "shard": shard}

    def do(self, shard: int, progress: Callable[[str], None] | None = None) -> None:
        """Train a row under a seed and measure what is missing of it."""
        torch.set_num_threads(1)
        row, seed = self.place(shard)
        tell = progress or (lambda text: None)
        tell(f"{row}, seed {seed}: training")
        training = Training(self.dataset(seed), seed, self.folder / "runs" / row / f"seed{seed}", self.config)
        try:
            asked = Asked(self.rows[row].make(training), training, self.rows[row].make)
        except self._failures(row) as error:
            for column in self.to_do(shard):
                self._keep(row, seed, {column: empty(f"not trained: {error}")})
            return
        for column in self.to_do(shard):
            if self.path(row, seed, column).is_file():
                continue  # came with another
            tell(f"{row}, seed {seed}: {column}")
            try:
                cells = MEASURES[column].group(asked)
            except self._failures(row) as error:
                cells = dict.fromkeys(TOGETHER[column], empty(str(error)))
            self._keep(row, seed, cells)

    def _failures(self, row: str) -> tuple[type[Exception], ...]:
        """What a row may fail by, told in its cells: of a row of the user's, whatever its code raises."""
        return OF_OTHERS if row in {text.partition("=")[0] for text in self.own} else (UserError,)

    def _keep(self, row: str, seed: int, cells: Mapping[str, Cell]) -> None:
        for column, cell in cells.items():
            write_atomically(self.path(row, seed, column), cell.to_bytes())

    def cells(self, row: str, column: str) -> list[Cell]:
        """The cells of all seeds."""
        return [self.cell(row, seed, column) for seed in range(self.config.seeds)]


def do_request(request: Mapping[str, Any]) -> None:
    """Do one shard, in another process or on another machine that sees the same files."""
    config = AtlasConfig(**{name: _tuple(value) for name, value in request["config"].items()})
    own = {text.partition("=")[0] for text in request["own"]}
    named = tuple(row for row in config.rows if row not in own)
    AtlasRun(replace(config, rows=named), Path(request["folder"]), request["own"]).do(request["shard"])


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
