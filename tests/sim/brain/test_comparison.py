"""A run beside recordings: layers, regions, steps, the command, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shared_keys import COMPARE_KEYS

import settle
from neuro.artifact.run_folder import load_artifact
from neuro.base.errors import UserError
from neuro.data.sets import Dataset
from sim.brain.comparison import PIXELS, layers_of
from sim.brain.config import CompareConfig
from sim.brain.similarity import dissimilarities


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory, finished: Path, blob_data: Dataset) -> Path:
    """Recordings of 90 images: region IT reads the hidden layer of the finished run, region V1 is noise."""
    layers = layers_of(load_artifact(finished).spec, blob_data.x_test, CompareConfig())
    generator = np.random.default_rng(0)
    hidden = layers["hidden1"] / layers["hidden1"].std()
    code = np.concatenate([hidden @ generator.standard_normal((8, 6)), np.zeros((90, 4))], axis=1)
    responses = code[:, :, None] + 0.3 * generator.standard_normal((90, 10, 4))
    responses[7, 0] = np.nan
    path = tmp_path_factory.mktemp("recordings") / "neurons.npz"
    np.savez(path, responses=responses, stimuli=blob_data.x_test, regions=["IT"] * 6 + ["V1"] * 4)
    return path


def test_a_planted_region_finds_its_layer_and_noise_none(finished: Path, planted: Path) -> None:
    found = settle.load(finished).compare(planted, measures=("cka", "rsa", "ridge", "pls"))
    told = found.to_json()
    assert (told["n"], told["n_missing"], told["step"]) == (90, 1, None)
    for name in ("cka", "rsa", "ridge", "pls"):
        mine, noise = told["regions"]["IT"][name], told["regions"]["V1"][name]
        assert mine["layer"] == "hidden1"
        assert mine["n"] == 89
        assert mine["value"] > 0.8 * mine["ceiling"]
        assert set(mine["layers"]) == {"hidden1", "output", PIXELS}
        assert abs(noise["value"]) < 0.25
    assert told["regions"]["IT"]["ridge"]["value"] > 0.98 * told["regions"]["IT"]["ridge"]["ceiling"]
    words = str(found)
    assert "IT, ridge" in words
    assert "pixels: " in words
    assert "90, 1 responses missing" in words


def test_the_command_answers_with_the_same_keys(finished: Path, planted: Path, command: Callable[..., Any]) -> None:
    answer = command("compare", finished, "--recordings", planted, "--measures", "cka", "--json")
    assert answer.code == 0
    expected = settle.load(finished).compare(planted, measures="cka").to_json()
    assert list(answer.json) == COMPARE_KEYS
    assert answer.json["regions"] == expected["regions"]
    assert expected["regions"]["IT"]["cka"].keys() >= {"value", "interval", "ceiling", "n", "reason", "layer", "layers"}


def test_of_dissimilarities_there_is_rsa_only(finished: Path, blob_data: Dataset, tmp_path: Path) -> None:
    shown = blob_data.x_test[:30]
    layers = layers_of(load_artifact(finished).spec, shown, CompareConfig())
    square = np.zeros((30, 30))
    square[np.triu_indices(30, 1)] = dissimilarities(layers["hidden1"])
    np.savez(tmp_path / "x.npz", rdm=square + square.T, stimuli=shown)
    told = settle.load(finished).compare(tmp_path / "x.npz").to_json()["regions"]["all"]
    assert told["rsa"]["value"] == pytest.approx(1)
    assert told["rsa"]["layer"] == "hidden1"
    assert told["cka"]["value"] is None
    assert told["cka"]["reason"] == "of dissimilarities there is rsa only"


def test_at_the_last_step_receivers_know_the_settled_states(finished: Path, blob_data: Dataset) -> None:
    spec = load_artifact(finished).spec
    settled = layers_of(spec, blob_data.x_test, CompareConfig())
    late = layers_of(spec, blob_data.x_test, CompareConfig(step=spec.free_steps))
    early = layers_of(spec, blob_data.x_test, CompareConfig(step=1))
    unit = spec.unit("hidden1")
    np.testing.assert_array_equal(late["hidden1"], unit.activation(settled["hidden1"].astype(np.int64)))
    assert len(np.unique(early["output"], axis=0)) == 1  # only its bias has reached it
    with pytest.raises(UserError, match="step 999"):
        layers_of(spec, blob_data.x_test, CompareConfig(step=999))


def test_stock_networks_are_compared_too_but_not_step_by_step(finished_stock: Path, planted: Path) -> None:
    run = settle.load(finished_stock)
    assert run.compare(planted, measures="cka").to_json()["regions"]["IT"]["cka"]["value"] is not None
    with pytest.raises(UserError, match="step 2: of sigma-delta networks only"):
        run.compare(planted, step=2)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"responses": np.ones((90, 3))}, "holds no stimuli"),
        ({"responses": np.ones((5, 3)), "stimuli": np.zeros((5, 9, 9))}, "the network takes"),
    ],
)
def test_recordings_that_cannot_be_shown_are_refused_in_one_line(
    finished: Path, tmp_path: Path, arrays: dict[str, Any], said: str
) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(UserError, match=said) as error:
        settle.load(finished).compare(tmp_path / "x.npz")
    assert "\n" not in str(error.value)


def test_unknown_measures_are_refused() -> None:
    with pytest.raises(UserError, match="biased"):
        CompareConfig(measures=("biased",))
