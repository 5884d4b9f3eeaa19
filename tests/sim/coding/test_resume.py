"""Resuming a sparse coder: a finished run is kept, and another question or a damaged file is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shared_coders import SMALL_CODER
from shared_watchers import Interrupting

from neuro.base.errors import UserError
from neuro.data.sets import Dataset
from sim.coding.training import train_lca
from sim.training.identity import identity

Outcome = Callable[[Path], dict[str, Any]]
CONFIG = replace(SMALL_CODER, epochs=3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


def test_a_finished_run_is_kept_and_told_again(blob_data: Dataset, silent: Any, outcome: Outcome, folder: Path) -> None:
    first = train_lca(blob_data, CONFIG, folder, silent())
    before = outcome(folder)
    with pytest.raises(UserError, match="already finished"):
        train_lca(blob_data, CONFIG, folder, silent())
    watcher = silent()
    assert train_lca(blob_data, CONFIG, folder, watcher, resume=True) == first
    assert (watcher.calls, outcome(folder)) == ([], before)
    with pytest.raises(UserError, match="made with atoms 6, asked for 7"):
        train_lca(blob_data, replace(CONFIG, atoms=7), folder, silent(), resume=True)
    with pytest.raises(UserError, match="data_sha256"):
        train_lca(replace(blob_data, x_test=1 - blob_data.x_test), CONFIG, folder, silent(), resume=True)


def test_a_run_of_a_version_without_families_is_one_of_sigma_delta(
    blob_data: Dataset, silent: Any, edit_manifest: Any, folder: Path
) -> None:
    first = train_lca(blob_data, CONFIG, folder, silent())
    assert {"family", "form"}.isdisjoint(identity("lca", CONFIG, blob_data))
    for name in ("family", "form"):
        edit_manifest(folder, lambda manifest, name=name: manifest["config"].pop(name))
    assert train_lca(blob_data, CONFIG, folder, silent(), resume=True) == first
    with pytest.raises(UserError, match="made with family sigma-delta, asked for stock"):
        train_lca(blob_data, replace(CONFIG, family="stock"), folder, silent(), resume=True)


@pytest.fixture
def unfinished(blob_data: Dataset, folder: Path) -> Path:
    with pytest.raises(KeyboardInterrupt):
        train_lca(blob_data, CONFIG, folder, Interrupting("on_epoch", 1))
    return folder


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 4}, {"atoms": 7}, {"patch": 2}, {"sparsity_threshold": 0.2}, {"signed": True}, {"epochs": 9},
        {"threshold_kind": "hard"}, {"layout": "residual"}, {"activation_bits": 7}, {"shadow_bits": 4},
        {"normalise": False}, {"front_end": "abc"}, {"family": "stock"},
    ],
    ids=str,
)  # fmt: skip
def test_resuming_with_other_settings_names_them(
    change: dict[str, Any], unfinished: Path, blob_data: Dataset, silent: Any
) -> None:
    before = (unfinished / "checkpoint.npz").read_bytes()
    with pytest.raises(UserError, match=f"was made with {next(iter(change))} "):
        train_lca(blob_data, replace(CONFIG, **change), unfinished, silent(), resume=True)
    with pytest.raises(UserError, match="--resume"):
        train_lca(blob_data, CONFIG, unfinished, silent())
    assert (unfinished / "checkpoint.npz").read_bytes() == before


def test_resuming_with_other_data_names_it(unfinished: Path, blob_data: Dataset, silent: Any) -> None:
    with pytest.raises(UserError, match="data_sha256"):
        train_lca(replace(blob_data, x_test=1 - blob_data.x_test), CONFIG, unfinished, silent(), resume=True)


def _rewrite(path: Path, **changes: Any) -> None:
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    np.savez(path, **{name: values for name, values in {**arrays, **changes}.items() if values is not None})


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:200]), ""),
        (lambda path: path.write_bytes(b"nothing"), ""),
        (lambda path: _rewrite(path, atoms=np.zeros((16, 6), np.int32)), "damaged"),
        (lambda path: _rewrite(path, atoms=None), "damaged"),
        (lambda path: _rewrite(path, state=None), "this version"),
        (lambda path: _rewrite(path, state=np.frombuffer(json.dumps({}).encode(), np.uint8)), "this version"),
    ],
    ids=["short", "nonsense", "other atoms", "no atoms", "no state", "empty state"],
)
def test_a_damaged_checkpoint_is_refused(
    damage: Callable[[Path], None], words: str, unfinished: Path, blob_data: Dataset, silent: Any
) -> None:
    damage(unfinished / "checkpoint.npz")
    with pytest.raises(UserError, match=words) as error:
        train_lca(blob_data, CONFIG, unfinished, silent(), resume=True)
    assert "checkpoint" in str(error.value)
