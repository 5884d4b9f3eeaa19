"""Sparse coders in files: the same again, or one refusal."""

import copy
from dataclasses import replace

import numpy as np
import pytest

from neuro.artifact.coder import coder_arrays, coder_from_json, graded_to_json, spiking_to_json
from neuro.artifact.run_folder import Artifact, load_artifact, save_artifact
from neuro.artifact.stock import graph_arrays
from neuro.coding.dictionary import unit_norm
from neuro.coding.graded_relu import graded_coder
from neuro.coding.lif import SpikingDesign, spiking_coder
from neuro.front_ends.pixels import PixelEncoder

ATOMS = unit_norm(np.random.default_rng(0).normal(size=(9, 12)))
CODERS = {
    "biases": spiking_coder(ATOMS, 0.1),
    "spikes": spiking_coder(ATOMS, 0.2, SpikingDesign(2.0, 4, 500, 0.0, "mixed", 6, 1.5, 0.25)),
    "graded": graded_coder(ATOMS, 0.1),
    "plain": graded_coder(ATOMS, 0.1, 7, 12, 2.0, 0.0, 1.0),
    "of images": replace(
        spiking_coder(ATOMS, 0.1), encoder=PixelEncoder(6, np.arange(9, dtype=np.int16)), image_shape=(3, 3),
        free_steps=77,
    ),
}  # fmt: skip


def to_json(coder):
    return {"spiking-coder": spiking_to_json, "graded-coder": graded_to_json}[coder.kind](coder)


@pytest.mark.parametrize("name", CODERS)
def test_a_coder_comes_back_as_it_was(name, tmp_path):
    coder = CODERS[name]
    save_artifact(tmp_path / "run", Artifact(coder, {"seed": 3}))
    artifact = load_artifact(tmp_path / "run")
    back = artifact.spec
    assert artifact.manifest["seed"] == 3
    assert type(back) is type(coder)
    assert to_json(back) == to_json(coder)
    images = np.random.default_rng(1).random((4, *coder.image_shape))
    np.testing.assert_array_equal(back.encoder.encode(images), coder.encoder.encode(images))
    assert back.graph.biased == coder.graph.biased
    assert back.graph.populations == coder.graph.populations
    np.testing.assert_array_equal(back.problem.dictionary, coder.problem.dictionary)
    for ours, theirs in zip(coder.graph.projections, back.graph.projections, strict=True):
        np.testing.assert_array_equal(ours.weights, theirs.weights)
    drive, again = coder.drive(0.5 * ATOMS.T, 5), back.drive(0.5 * ATOMS.T, 5)
    np.testing.assert_array_equal(drive.inputs, again.inputs)
    assert all((again.biases[key] == values).all() for key, values in drive.biases.items())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("kind", "loud"),
        ("kind", None),
        ("family", "stock"),
        ("settings", {}),
        ("settings", {"design": {"colour": 1}, "threshold": 9}),
        ("settings", {"design": {}, "threshold": "9"}),
        ("settings", 7),
        ("sparsity_threshold", 0),
        ("sparsity_threshold", "x"),
        ("biased", ["nobody"]),
        ("biased", 3),
        ("populations", []),
        ("projections", None),
    ],
)
def test_a_wrong_entry_is_refused(key, value, refused):
    coder = CODERS["biases"]
    content, arrays = copy.deepcopy(to_json(coder)), {**graph_arrays(coder.graph), "dictionary": ATOMS}
    coder_from_json(content, arrays)
    with refused():
        coder_from_json({**content, key: value}, arrays)
    with refused("not a sparse coder of this version"):
        coder_from_json({name: entry for name, entry in content.items() if name != key}, arrays)


def test_another_dictionary_is_refused(refused):
    coder = CODERS["biases"]
    arrays = graph_arrays(coder.graph)
    for wrong in (ATOMS[:, :5], np.zeros((9, 12)), np.full((9, 12), "x")):
        with refused():
            coder_from_json(to_json(coder), {**arrays, "dictionary": wrong})
    with refused("dictionary"):
        coder_from_json(to_json(coder), arrays)


def test_files_of_versions_without_images_open():
    coder = CODERS["biases"]
    content = {k: v for k, v in spiking_to_json(coder).items() if k not in ("encoder", "image_shape", "steps")}
    back = coder_from_json(content, coder_arrays(coder))
    assert (back.image_shape, back.free_steps) == ((9,), coder.free_steps)


def test_a_damaged_coder_is_refused(tmp_path, refused):
    save_artifact(tmp_path / "coder", Artifact(CODERS["graded"], {}))
    (tmp_path / "coder" / "weights.npz").write_bytes(b"")
    with refused("weights.npz", "restore"):
        load_artifact(tmp_path / "coder")
