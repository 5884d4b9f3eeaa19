"""Sparse coders in files: the same again, or one refusal."""

import copy

import numpy as np
import pytest

from neuro.artifact.coder import coder_from_json, coder_to_json, load_coder, save_coder
from neuro.artifact.run_folder import load_artifact, write_run
from neuro.artifact.stock import graph_arrays
from neuro.coding.dictionary import unit_norm
from neuro.coding.graded_relu import graded_coder
from neuro.coding.lif import SpikingDesign, spiking_coder

ATOMS = unit_norm(np.random.default_rng(0).normal(size=(9, 12)))
CODERS = {
    "biases": spiking_coder(ATOMS, 0.1),
    "spikes": spiking_coder(ATOMS, 0.2, SpikingDesign(2.0, 4, 500, 0.0, "mixed", 6, 1.5, 0.25)),
    "graded": graded_coder(ATOMS, 0.1),
    "plain": graded_coder(ATOMS, 0.1, 7, 12, 2.0, 0.0, 1.0),
}


@pytest.mark.parametrize("name", CODERS)
def test_a_coder_comes_back_as_it_was(name, tmp_path):
    coder = CODERS[name]
    save_coder(tmp_path / "run", coder, {"seed": 3})
    back, manifest = load_coder(tmp_path / "run")
    assert manifest["seed"] == 3
    assert type(back) is type(coder)
    assert coder_to_json(back) == coder_to_json(coder)
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
    content, arrays = copy.deepcopy(coder_to_json(coder)), {**graph_arrays(coder.graph), "dictionary": ATOMS}
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
            coder_from_json(coder_to_json(coder), {**arrays, "dictionary": wrong})
    with refused("dictionary"):
        coder_from_json(coder_to_json(coder), arrays)


def test_a_coder_is_no_classifier_and_a_classifier_no_coder(tmp_path, refused):
    save_coder(tmp_path / "coder", CODERS["graded"], {})
    with refused("sparse coder", "load_coder"):
        load_artifact(tmp_path / "coder")
    write_run(tmp_path / "other", {"family": "stock"}, {}, {})
    with refused("family 'stock'", "load_artifact"):
        load_coder(tmp_path / "other")
    (tmp_path / "coder" / "weights.npz").write_bytes(b"")
    with refused("weights.npz", "restore"):
        load_coder(tmp_path / "coder")
