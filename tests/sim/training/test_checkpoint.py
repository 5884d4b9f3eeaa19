from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shared_damage import changed, cut

from neuro.base.errors import UserError
from neuro.base.files import array_bytes, parse_arrays
from neuro.data.sets import Dataset
from sim.training.checkpoint import CHECKPOINT, Checkpoint, State, load_checkpoint, remove_checkpoint, save_checkpoint
from sim.training.config import TrainConfig
from sim.training.equilibrium import EquilibriumLearner
from sim.training.watcher import NOBODY

IDENTITY = {"seed": 3, "hidden": [8]}


@pytest.fixture(scope="module")
def fresh(blob_data: Dataset, small_config: TrainConfig) -> Callable[[], EquilibriumLearner]:
    config = replace(small_config, learning_rate=0.7, output_share=0.25, centred=True, exponent_offset=1, refit=True)

    def made() -> EquilibriumLearner:
        learner = EquilibriumLearner(blob_data, config)
        learner.prepare(NOBODY)
        return learner

    return made


@pytest.fixture(scope="module")
def trained(fresh: Callable[[], EquilibriumLearner]) -> EquilibriumLearner:
    """At the end of both stages."""
    learner = fresh()
    learner.start(NOBODY)
    learner.trainer.run()
    assert learner.next_stage()
    learner.trainer.run()
    return learner


@pytest.fixture
def saved(trained: EquilibriumLearner, tmp_path: Path) -> Path:
    """A folder with a checkpoint of `trained`."""
    save_checkpoint(tmp_path, Checkpoint(IDENTITY, trained.state()))
    return tmp_path


def same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> bool:
    return first.keys() == second.keys() and all(
        np.array_equal(first[name], second[name]) and first[name].dtype == second[name].dtype for name in first
    )


def equal(first: State, second: State) -> bool:
    return same(first.arrays, second.arrays) and first.fields == second.fields


def test_what_is_saved_is_loaded(
    saved: Path, trained: EquilibriumLearner, fresh: Callable[[], EquilibriumLearner]
) -> None:
    found = load_checkpoint(saved)
    assert found is not None
    assert found.identity == IDENTITY
    assert equal(found.state, trained.state())
    assert found.state.fields["stage"] == "refit"
    learner = fresh()
    learner.start(NOBODY)
    assert not same(learner.trainer.session.full_weights(), trained.trainer.session.full_weights())
    learner.restore(found.state)
    assert equal(learner.state(), trained.state())
    assert same(learner.trainer.session.weights(), trained.trainer.session.weights())
    assert same(learner.kept_weights, trained.kept_weights)
    assert learner.trainer.progress == trained.trainer.progress
    assert os.listdir(saved) == [CHECKPOINT]


def test_no_checkpoint_is_none_and_removal_is_idempotent(saved: Path) -> None:
    remove_checkpoint(saved)
    assert load_checkpoint(saved) is None
    remove_checkpoint(saved)
    assert load_checkpoint(saved / "no such folder") is None


def test_truncated_at_any_length_it_is_refused(saved: Path) -> None:
    path = saved / CHECKPOINT
    content = path.read_bytes()
    for _ in cut(path, [*range(0, len(content), 97), len(content) - 1]):
        with pytest.raises(UserError, match=CHECKPOINT):
            load_checkpoint(saved)


@pytest.mark.parametrize(
    ("turn", "mask"), [(0, 0x01), *(pytest.param(*case, marks=pytest.mark.slow) for case in ((1, 0x80), (2, 0xFF)))]
)
def test_with_any_byte_changed_it_is_refused_or_unharmed(
    turn: int, mask: int, saved: Path, trained: EquilibriumLearner
) -> None:
    """The masks take turns in what is checksummed, and go through all of the directory behind it."""
    path = saved / CHECKPOINT
    refused, wrong, size = 0, list[tuple[int, str]](), path.stat().st_size
    for position in [*range(5 * turn, size, 15), *range(size - 800, size)]:
        with changed(path, position, mask):
            try:
                found = load_checkpoint(saved)
            except UserError:
                refused += 1
            except Exception as error:  # any other exception would be a traceback on the user's screen
                wrong.append((position, repr(error)))
            else:
                assert found is not None
                assert equal(found.state, trained.state())
    assert wrong == []
    assert refused > 100


@pytest.mark.parametrize("missing", ["state", "full.input->hidden1", "best.hidden1->output"])
def test_a_checkpoint_that_lacks_an_array_is_refused(
    missing: str, saved: Path, fresh: Callable[[], EquilibriumLearner]
) -> None:
    path = saved / CHECKPOINT
    arrays = parse_arrays(path.read_bytes(), path)
    del arrays[missing]
    path.write_bytes(array_bytes(arrays))
    with pytest.raises(UserError):
        _resume_and_end(saved, fresh())


@pytest.mark.parametrize("name", ["full.input->hidden1", "best.hidden1->output"])
def test_a_checkpoint_of_another_shape_is_refused(
    name: str, saved: Path, fresh: Callable[[], EquilibriumLearner]
) -> None:
    path = saved / CHECKPOINT
    arrays = parse_arrays(path.read_bytes(), path)
    arrays[name] = arrays[name][:-1]
    path.write_bytes(array_bytes(arrays))
    with pytest.raises(UserError):
        _resume_and_end(saved, fresh())


def _resume_and_end(folder: Path, learner: EquilibriumLearner) -> None:
    found = load_checkpoint(folder)
    assert found is not None
    learner.restore(found.state)
    trainer = learner.trainer
    trainer.session.spec.with_weights(trainer.best_weights)
    if trainer.best_weights.keys() != trainer.session.weights().keys():
        raise AssertionError("a projection would keep its untrained weights")


@pytest.mark.parametrize("state", [b"", b"null", b"{}", b"[1]", b'{"identity": 1}', b"\xff\xfe"], ids=repr)
def test_a_checkpoint_of_another_version_is_refused(state: bytes, saved: Path) -> None:
    path = saved / CHECKPOINT
    arrays = parse_arrays(path.read_bytes(), path)
    arrays["state"] = np.frombuffer(state, dtype=np.uint8)
    path.write_bytes(array_bytes(arrays))
    with pytest.raises(UserError, match=r"^[^\n]+$"):
        load_checkpoint(saved)


@contextmanager
def broken_disk(monkeypatch: pytest.MonkeyPatch, call: str, name: str, error: BaseException) -> Iterator[None]:
    """The system call fails for the file called `name`."""

    def failing(target: Any, *rest: Any) -> Any:
        path = os.readlink(f"/proc/self/fd/{target}") if isinstance(target, int) else str(rest[0])
        if Path(path).name.startswith((name, f".{name}")):
            raise error
        return real(target, *rest)

    real = getattr(os, call)
    with monkeypatch.context() as patched:
        patched.setattr(os, call, failing)
        yield


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
FAILURES = [("fsync", FULL), ("replace", FULL), ("replace", OSError(errno.EIO, os.strerror(errno.EIO)))]


@pytest.mark.parametrize(("call", "error"), FAILURES)
def test_a_failed_write_leaves_the_earlier_checkpoint(
    call: str, error: OSError, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (saved / CHECKPOINT).read_bytes()
    with broken_disk(monkeypatch, call, CHECKPOINT, error), pytest.raises(UserError, match=CHECKPOINT) as caught:
        save_checkpoint(saved, Checkpoint(IDENTITY, State({"full": np.zeros(3, np.int8)}, {})))
    assert ("disk is full" in str(caught.value)) == (error.errno == errno.ENOSPC)
    assert (saved / CHECKPOINT).read_bytes() == before
    assert os.listdir(saved) == [CHECKPOINT]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_an_interrupted_write_leaves_the_earlier_checkpoint(
    call: str, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (saved / CHECKPOINT).read_bytes()
    with broken_disk(monkeypatch, call, CHECKPOINT, KeyboardInterrupt()), pytest.raises(KeyboardInterrupt):
        save_checkpoint(saved, Checkpoint(IDENTITY, State({"full": np.zeros(3, np.int8)}, {})))
    assert (saved / CHECKPOINT).read_bytes() == before
    assert os.listdir(saved) == [CHECKPOINT]


@pytest.mark.parametrize(("call", "error"), FAILURES)
@pytest.mark.parametrize("name", [CHECKPOINT, "log.jsonl", "spec.json", "weights.npz", "manifest.json"])
def test_a_full_disk_ends_a_run_in_one_line_and_it_resumes(
    name: str, call: str, error: OSError, command: Callable[..., Any], outcome: Callable[[Path], Any],
    blob_data: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    rates = ["--learning-rate", 1.4, "--output-share", 0.125, "--checkpoint-every-s", 0]
    words = ["train", "ep", "--data", blob_data.source, "--hidden", 8, "--epochs", 2, *rates]
    folder = tmp_path / "run"
    with broken_disk(monkeypatch, call, name, error):
        answer = command(*words, "--out", folder)
    assert answer.code == 2
    assert name in answer.mistake
    assert answer.out == ""
    assert not (folder / "manifest.json").exists()
    assert not [
        left for left in (os.listdir(folder) if folder.exists() else []) if left.startswith(".") or left == name
    ]
    assert command(*words, "--out", folder, "--resume").code == 0
    assert command(*words, "--out", tmp_path / "whole").code == 0
    assert outcome(folder) == outcome(tmp_path / "whole")
