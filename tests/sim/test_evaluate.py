from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuro.artifact.run_folder import Artifact, load_artifact
from neuro.base.errors import UserError
from neuro.data.sets import Dataset
from sim.backends.batched.backend import TorchSession
from sim.backends.protocol import get_backend, one_hot_targets
from sim.backends.record import Record, SpikeTable, compare
from sim.evaluate import Evaluation, add_result, data_of, evaluate, read_results
from sim.training.config import TrainConfig
from sim.training.equilibrium import infer

Command = Callable[..., Any]
EVENTS, REFERENCE = get_backend("events"), get_backend("reference")


@pytest.fixture(scope="module")
def artifact(finished: Path) -> Artifact:
    return load_artifact(finished)


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of a finished run that may be changed."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.fixture(scope="module")
def record(artifact: Artifact, blob_data: Dataset) -> Record:
    spec = artifact.spec
    payloads, targets = spec.encoder.encode(blob_data.x_test[:12]), one_hot_targets(spec, blob_data.y_test[:12])
    with EVENTS.open(spec) as session:
        return session.run(payloads, targets, seed=3, keep_states=True, keep_spikes=True)


@pytest.mark.parametrize("first", [EVENTS, REFERENCE], ids=["events", "reference"])
def test_backends_are_equal_to_the_last_integer(
    first: Any, artifact: Artifact, finished: Path, blob_data: Dataset
) -> None:
    second = REFERENCE if first is EVENTS else EVENTS
    found = evaluate(artifact, finished, blob_data, first, 40, second)
    assert found.differences is not None
    assert (found.differences.spikes, found.differences.states, found.differences.predictions) == (0, 0, 0)
    assert found.differences.total == 0
    assert found.differences.n_images == found.accuracy.n == 40
    assert found.differences.n_spikes > 40
    assert (found.backend, found.check) == (first.name, second.name)


def test_how_a_device_computes_is_told(
    run: Path, artifact: Artifact, blob_data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TorchSession, "remark", "cuda computes by Triton kernels")
    found = evaluate(artifact, run, blob_data, get_backend("torch"), 5, None)
    assert ("device", "cuda computes by Triton kernels") in found.lines()
    add_result(run, artifact, found)
    assert read_results(run, artifact) == [found]
    assert "device" not in dict(evaluate(artifact, run, blob_data, EVENTS, 5, None).lines())


@pytest.mark.parametrize("config", [{"hidden": (6, 5)}, {"rule": "y3"}, {"batch_size": 8}, {"weight_bits": 5}], ids=str)
def test_runs_of_every_kind_are_equal_on_both(
    config: dict[str, Any], train: Callable[..., Any], blob_data: Dataset, small_config: TrainConfig, tmp_path: Path
) -> None:
    train(blob_data, replace(small_config, **config), tmp_path)
    found = evaluate(load_artifact(tmp_path), tmp_path, blob_data, EVENTS, 20, REFERENCE)
    assert found.differences is not None
    assert found.differences.total == 0


def test_the_first_images_are_evaluated(artifact: Artifact, finished: Path, blob_data: Dataset) -> None:
    predictions = infer(artifact.spec, blob_data.x_test).predictions
    for count in (1, 30, 90, None):
        found = evaluate(artifact, finished, blob_data, EVENTS, count, None)
        correct = (predictions == blob_data.y_test)[:count]
        assert (found.accuracy.n_correct, found.accuracy.n) == (correct.sum(), len(correct))
        assert found.differences is None


@pytest.mark.parametrize("count", [0, -1, 91])
def test_more_images_than_there_are_is_refused(
    count: int, artifact: Artifact, finished: Path, blob_data: Dataset
) -> None:
    with pytest.raises(UserError, match=r"outside 1\.\.90"):
        evaluate(artifact, finished, blob_data, EVENTS, count, None)


def test_images_of_another_size_are_refused(artifact: Artifact, finished: Path, blob_data: Dataset) -> None:
    wide = replace(blob_data, x_test=np.zeros((90, 4, 5), np.float32))
    with pytest.raises(UserError, match="20 values, the network 16"):
        evaluate(artifact, finished, wide, EVENTS, None, None)


def test_equal_records_have_no_differences(record: Record) -> None:
    found = compare(record, record)
    assert (found.total, found.n_images) == (0, 12)
    assert record.spikes is not None
    assert found.n_spikes == len(record.spikes)


@pytest.mark.parametrize("column", range(5), ids=["image", "step", "population", "neuron", "payload"])
def test_one_wrong_spike_is_reported(column: int, record: Record) -> None:
    assert record.spikes is not None
    rows = record.spikes.rows()
    rows[len(rows) // 2, column] += 1000
    wrong = replace(record, spikes=SpikeTable.from_rows(rows))
    for found in (compare(record, wrong), compare(wrong, record)):
        assert (found.spikes, found.states, found.predictions) == (2, 0, 0)  # one lost, one that should not be


def test_a_lost_and_a_repeated_spike_are_reported(record: Record) -> None:
    assert record.spikes is not None
    rows = record.spikes.rows()
    lost = replace(record, spikes=SpikeTable.from_rows(rows[1:]))
    repeated = replace(record, spikes=SpikeTable.from_rows(np.concatenate([rows[:1], rows])))
    silent = replace(record, spikes=SpikeTable.from_rows(rows[:0]))
    assert compare(record, lost).spikes == compare(lost, record).spikes == 1
    assert compare(record, repeated).spikes >= 1
    assert compare(repeated, record).spikes >= 1
    assert compare(record, silent).spikes == compare(silent, record).spikes == len(rows)


@pytest.mark.parametrize("name", ["input", "bias", "hidden1", "output"])
def test_one_wrong_state_is_reported(name: str, record: Record) -> None:
    assert record.states is not None
    states = {key: part.copy() for key, part in record.states.items()}
    states[name][5, -1, -1] ^= 1
    found = compare(record, replace(record, states=states))
    assert (found.spikes, found.states, found.predictions) == (0, 1, 0)


def test_one_wrong_prediction_is_reported(record: Record) -> None:
    predictions = record.predictions.copy()
    predictions[3] += 1
    found = compare(record, replace(record, predictions=predictions))
    assert (found.spikes, found.states, found.predictions) == (0, 0, 1)


def test_records_without_spikes_or_states_are_not_compared(record: Record) -> None:
    for lacking in (replace(record, spikes=None), replace(record, states=None)):
        with pytest.raises(ValueError, match="need spikes and states"):
            compare(record, lacking)
        with pytest.raises(ValueError, match="need spikes and states"):
            compare(lacking, record)


def test_data_of_finds_the_data_of_the_run_or_refuses(artifact: Artifact, blob_data: Dataset, tmp_path: Path) -> None:
    assert data_of(artifact).sha256() == blob_data.sha256()
    data = artifact.manifest["data"]
    for wrong in ({"sha256": "0" * 64}, {"source": str(tmp_path / "gone.npz")}):
        with pytest.raises(UserError):
            data_of(Artifact(artifact.spec, {**artifact.manifest, "data": {**data, **wrong}}))
    for missing in ("data", "seed"):
        manifest = {key: value for key, value in artifact.manifest.items() if key != missing}
        with pytest.raises(UserError, match=missing):
            data_of(Artifact(artifact.spec, manifest))


def test_results_are_appended_and_read_back(run: Path, artifact: Artifact, blob_data: Dataset) -> None:
    assert read_results(run, artifact) == []
    plain = evaluate(artifact, run, blob_data, EVENTS, None, None)
    checked = evaluate(artifact, run, blob_data, EVENTS, 5, REFERENCE)
    for evaluation in (plain, checked, plain):
        add_result(run, artifact, evaluation)
    assert read_results(run, artifact) == [plain, checked, plain]
    lines = (run / "results.jsonl").read_text().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["evaluation"] * 3


def test_results_of_other_weights_are_not_read(run: Path, artifact: Artifact, blob_data: Dataset) -> None:
    evaluation = evaluate(artifact, run, blob_data, EVENTS, 5, None)
    other = Artifact(artifact.spec, {**artifact.manifest, "files": {"weights.npz": "0" * 64}})
    add_result(run, other, evaluation)
    add_result(run, artifact, evaluation)
    assert read_results(run, artifact) == [evaluation]


@pytest.mark.parametrize("line", ["{", "7", "{}", '{"weights_sha256": "SHA"}', '{"kind": "evaluation"}'])
def test_damaged_results_are_refused(line: str, run: Path, artifact: Artifact) -> None:
    sha = artifact.manifest["files"]["weights.npz"]
    (run / "results.jsonl").write_text(line.replace("SHA", sha) + "\n")
    with pytest.raises(UserError, match=r"results\.jsonl"):
        read_results(run, artifact)


def test_json_has_the_keys_of_the_contract(artifact: Artifact, finished: Path, blob_data: Dataset) -> None:
    found: Evaluation = evaluate(artifact, finished, blob_data, EVENTS, 5, REFERENCE)
    content = json.loads(json.dumps(found.to_json()))
    assert list(content) == ["run", "backend", "accuracy", "n", "spikes_per_inference", "differences"]
    assert content["differences"] == {"spikes": 0, "states": 0, "predictions": 0}


@pytest.mark.parametrize("name", ["weights.npz", "spec.json"])
@pytest.mark.parametrize("place", [0, 100, -1])
def test_an_edited_or_truncated_run_is_refused(name: str, place: int, command: Command, run: Path) -> None:
    content = bytearray((run / name).read_bytes())
    (run / name).write_bytes(content[:place])
    command("evaluate", run).refused(name)
    content[place] ^= 1
    (run / name).write_bytes(content)
    command("evaluate", run).refused(name)
    command("report", run).refused(name)
    (run / name).unlink()
    command("evaluate", run).refused(name)
    assert sorted(os.listdir(run)) == sorted({"log.jsonl", "manifest.json", "spec.json", "weights.npz"} - {name})


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b'{"format": 99}', b'{"format": 1}', b"\xff"], ids=repr)
def test_a_damaged_manifest_is_refused(content: bytes, command: Command, run: Path) -> None:
    (run / "manifest.json").write_bytes(content)
    command("evaluate", run).refused()
    command("report", run).refused()


@pytest.mark.parametrize(
    "options",
    [["--backend", "gpu"], ["--check", "gpu"], ["--images", "0"], ["--images", "-1"], ["--images", "91"],
     ["--threads", "0"], ["--backend", "reference", "--threads", "0"], ["--data", "no-such-set"], ["--bogus"]],
    ids=" ".join,
)  # fmt: skip
def test_bad_evaluations_are_refused_in_one_line(options: list[str], command: Command, run: Path) -> None:
    before = sorted(os.listdir(run))
    command("evaluate", run, *options).refused()
    assert sorted(os.listdir(run)) == before


def test_lava_without_lava_is_refused(command: Command, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    for options in (["--backend", "lava"], ["--check", "lava"]):
        command("evaluate", run, "--images", 2, *options).refused("lava-nc is not installed")
    assert not (run / "results.jsonl").exists()


def test_a_manifest_without_its_seed_is_refused(
    command: Command, run: Path, blob_data: Dataset, edit_manifest: Callable[..., None]
) -> None:
    edit_manifest(run, lambda manifest: manifest.pop("seed"))
    command("evaluate", run).refused("seed")
    command("evaluate", run, "--data", blob_data.source).refused("seed")


def test_results_of_an_older_version_are_read(finished: Path, blob_data: Dataset, tmp_path: Path) -> None:
    """Rows did not state how many images they hold for: their accuracy does."""
    run = Path(shutil.copytree(finished, tmp_path / "older"))
    artifact = load_artifact(run)
    evaluation = evaluate(artifact, run, blob_data, get_backend("events"), 10, None)
    add_result(run, artifact, evaluation)
    row = json.loads((run / "results.jsonl").read_text())
    del row["n"]
    (run / "results.jsonl").write_text(json.dumps(row) + "\n")
    assert read_results(run, artifact) == [evaluation]
    (run / "results.jsonl").write_text(json.dumps({**row, "accuracy": None}) + "\n")
    with pytest.raises(UserError, match="n is missing"):
        read_results(run, artifact)
