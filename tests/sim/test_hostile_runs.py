"""Runs whose files were edited by somebody who can compute hashes: one line that names the field, never a traceback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shared_refused import refused

from neuro.artifact.run_folder import load_artifact, manifest_hash, network_of, read_run
from sim.evaluate import add_result, load_run, read_results


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A finished run to be edited."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest and put its hash right."""
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    manifest["manifest_sha256"] = manifest_hash(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.update(seed="3"), "seed is text, needs an integer"),
        (lambda m: m.update(seed=-3), "seed needs an integer >= 0"),
        (lambda m: m.update(data=[]), "data is a list, needs an object"),
        (lambda m: m["data"].pop("sha256"), "data.sha256 is missing"),
        (lambda m: m["data"].update(image_shape=[4, "4"]), "data.image_shape[1] is text"),
        (lambda m: m.update(history=[]), "history needs a list of length >= 1"),
        (lambda m: m.update(history={}), "history is an object, needs a list"),
        (lambda m: m["history"][0].update(val_accuracy="1"), "history[0].val_accuracy is text"),
        (lambda m: m["results"].pop("test"), "results.test is missing"),
        (lambda m: m["results"]["test"].update(n_correct=1000), "results.test: accuracy: 1000 correct of 90"),
        (lambda m: m["results"].update(images_per_s=-1.0), "results.images_per_s needs a number >= 0"),
        (lambda m: m.update(files=[1]), "files is a list, needs an object"),
        (lambda m: m.update(best_epoch=None), "best_epoch is nothing, needs an integer"),
    ],
)
def test_a_field_of_the_manifest_that_does_not_fit_is_named(
    change: Callable[[dict[str, Any]], object], words: str, run: Path
) -> None:
    edit(run, change)
    with refused("manifest.json", words):
        load_run(run)


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999", "1" + "0" * 400])
def test_numbers_that_no_manifest_holds_are_refused(number: str, run: Path) -> None:
    text = (run / "manifest.json").read_text()
    (run / "manifest.json").write_text(text.replace('"seed": 3', f'"seed": {number}', 1))
    with refused("manifest.json", "holds the number"):
        load_run(run)


def test_an_offset_of_another_shape_is_refused(finished: Path) -> None:
    fields, arrays, _ = read_run(finished)
    offset = arrays["encoder.offset"]
    assert network_of(fields, arrays).n_inputs == offset.size
    for other in (offset[:, None], offset[None], offset[0], offset[1:]):
        with refused("offset"):
            network_of(fields, {**arrays, "encoder.offset": other})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda row: row.update(n="5"), "n is text, needs an integer"),
        (lambda row: row.pop("weights_sha256"), "weights_sha256 is missing"),
        (lambda row: row.update(accuracy=3), "accuracy is a whole number, needs an object or nothing"),
        (lambda row: row.update(differences={"spikes": 0}), "differences.states is missing"),
    ],
)
def test_a_field_of_a_result_that_does_not_fit_is_named(
    change: Callable[[dict[str, Any]], object], words: str, run: Path
) -> None:
    from sim.evaluate import Evaluation

    artifact = load_artifact(run)
    add_result(run, artifact, Evaluation("run", "events", None, 3.0, 5))
    row = json.loads((run / "results.jsonl").read_text())
    assert len(read_results(run, artifact)) == 1
    change(row)
    (run / "results.jsonl").write_text(json.dumps(row) + "\n")
    with refused("results.jsonl", words, "delete the file"):
        read_results(run, artifact)
