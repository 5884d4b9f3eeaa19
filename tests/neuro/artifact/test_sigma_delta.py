import copy
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.artifact.run_folder import Artifact, load_artifact, save_artifact
from neuro.artifact.sigma_delta import spec_arrays, spec_from_json, spec_to_json
from neuro.equilibrium.design import EquilibriumDesign
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.front_ends.pixels import PixelEncoder
from neuro.spec.plasticity import RULES

law = settings(max_examples=40, deadline=None)


@st.composite
def specs(draw):
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    size = int(np.prod(shape))
    offsets = st.lists(st.integers(-40, 40), min_size=size, max_size=size)
    offset = draw(st.none() | offsets)
    design = EquilibriumDesign(
        shape,
        draw(st.integers(2, 4)),
        tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))),
        rule=draw(st.sampled_from(["event", "end-point", "y3"])),
        shadow_bits=draw(st.integers(0, 8)),
        weight_bits=draw(st.integers(2, 8)),
        state_bits=draw(st.integers(10, 16)),
        free_steps=draw(st.integers(1, 30)),
        nudge_multiplier=draw(st.integers(1, 5)),
        output_box=draw(st.sampled_from([(0.0, 1.5), (-1.0, 2.0)])),
        encoder=PixelEncoder(draw(st.integers(0, 6)), None if offset is None else np.array(offset, np.int16)),
    )
    return build_equilibrium(design, draw(st.integers(0, 100)))


@law
@given(specs())
def test_a_spec_survives_the_round_trip_through_json_text_and_arrays(spec):
    text, arrays = json.dumps(spec_to_json(spec), allow_nan=False), spec_arrays(spec)
    again = spec_from_json(json.loads(text), arrays)
    assert (again.populations, again.schedule, again.family) == (spec.populations, spec.schedule, spec.family)
    assert (again.input, again.output) == (spec.input, spec.output)
    assert again.encoder.activation_bits == spec.encoder.activation_bits
    np.testing.assert_equal(again.encoder.offset, spec.encoder.offset)
    for ours, theirs in zip(again.projections, spec.projections, strict=True):
        assert {**vars(ours), "weights": None} == {**vars(theirs), "weights": None}
        assert (ours.weights is None) == (theirs.weights is None)
        np.testing.assert_array_equal(again.weights_of(ours), spec.weights_of(theirs))
    assert json.dumps(spec_to_json(again)) == text


def test_the_arrays_are_the_weights_and_the_offset_and_no_more(small_spec):
    names = {f"weights.{p.name}" for p in small_spec.projections if p.transpose_of is None}
    assert set(spec_arrays(small_spec)) == names | {"encoder.offset"}


REQUIRED = [
    *(("family",), ("input",), ("output",), ("encoder",), ("schedule",), ("populations",), ("projections",)),
    *(("encoder", "activation_bits"), ("encoder", "centred"), ("schedule", "phases")),
    *(("schedule", "phases", 0, "name"), ("schedule", "phases", 0, "steps")),
    *(("populations", 0, "name"), ("populations", 1, "shape"), ("populations", 2, "neuron")),
    ("populations", 2, "neuron", "model"),
    *(("projections", 0, key) for key in ("name", "source", "target", "exponent", "transpose_of", "rule")),
    ("projections", 0, "rule", "name"),
]


@pytest.mark.parametrize("path", REQUIRED, ids=lambda path: ".".join(map(str, path)))
def test_a_missing_entry_is_refused(path, small_spec, refused):
    content = copy.deepcopy(json.loads(json.dumps(spec_to_json(small_spec))))
    holder = content
    for key in path[:-1]:
        holder = holder[key]
    del holder[path[-1]]
    with refused():
        spec_from_json(content, spec_arrays(small_spec))


@pytest.mark.parametrize(
    ("path", "value", "word"),
    [
        (("family",), "lif", "family"),
        (("input",), None, "input"),
        (("populations",), 7, "spec"),
        (("populations", 2, "neuron", "model"), "Izhikevich", "Izhikevich"),
        (("populations", 2, "neuron", "state_bits"), "16", "spec"),
        (("populations", 2, "neuron", "colour"), 1, "colour"),
        (("populations", 2, "shape"), [], "hidden1"),
        (("schedule", "phases", 0, "steps"), 0, "phase free"),
        (("schedule", "tempo"), 3, "tempo"),
        (("projections", 0, "exponent"), None, "spec"),
        (("projections", 0, "weight_bits"), 3, "input->hidden1"),
        (("projections", 0, "rule", "name"), "hebb", "hebb"),
        (("projections", 0, "name"), "elsewhere", "elsewhere"),
    ],
)
def test_a_wrong_entry_is_refused(path, value, word, small_spec, refused):
    content = copy.deepcopy(json.loads(json.dumps(spec_to_json(small_spec))))
    holder = content
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    with refused(word):
        spec_from_json(content, spec_arrays(small_spec))


def test_a_missing_or_unfit_array_is_refused(small_spec, refused):
    content, arrays = spec_to_json(small_spec), spec_arrays(small_spec)
    for name in arrays:
        with refused(name):
            spec_from_json(content, {key: array for key, array in arrays.items() if key != name})
    with refused("input->hidden1", "2-D integer"):
        spec_from_json(content, {**arrays, "weights.input->hidden1": np.zeros((6, 4))})
    with refused("input->hidden1", "(4, 6)"):
        spec_from_json(content, {**arrays, "weights.input->hidden1": np.zeros((4, 6), np.int8)})


def test_every_rule_is_kept_by_its_name():
    for name in RULES:
        spec = build_equilibrium(EquilibriumDesign((2,), 2, (2,), rule=name), 0)
        again = spec_from_json(spec_to_json(spec), spec_arrays(spec))
        assert [p.rule for p in again.plastic] == [p.rule for p in spec.plastic]
        assert again.projections[0].rule.name == name


@pytest.mark.parametrize(("contrast", "whiten"), [(True, False), (False, True), (True, True)])
def test_normalisation_and_whitening_are_part_of_the_artifact(contrast, whiten, tmp_path):
    images = np.random.default_rng(0).random((50, 2, 3))
    encoder = PixelEncoder(4).centred_on(images)
    encoder = encoder.contrast_normalised(0.1) if contrast else encoder
    encoder = encoder.whitened_on(images) if whiten else encoder
    spec = build_equilibrium(EquilibriumDesign((2, 3), 2, (3,), encoder=encoder), 0)
    save_artifact(tmp_path / "run", Artifact(spec, {}))
    again = load_artifact(tmp_path / "run").spec.encoder
    assert (again.payload_limit, again.signed) == (64, True)
    assert {**vars(again.transform), "whitening": 0} == {**vars(encoder.transform), "whitening": 0}
    np.testing.assert_array_equal(again.encode(images), encoder.encode(images))
    assert ("encoder.whitening" in spec_arrays(spec)) == whiten


def test_specs_without_a_transform_are_written_as_before(small_spec):
    assert set(spec_to_json(small_spec)["encoder"]) == {"activation_bits", "gain_bits", "centred"}


@pytest.mark.parametrize(
    ("change", "word"),
    [({"limit": 0}, "limit 0"), ({"limit": "7"}, "limit '7'"), ({"colour": 1}, "colour"),
     ({"whitened": True}, "encoder.whitening"), ({"contrast_floor": 0}, "neither")],
)  # fmt: skip
def test_a_wrong_transform_is_refused(change, word, refused):
    encoder = PixelEncoder(4).contrast_normalised()
    spec = build_equilibrium(EquilibriumDesign((2, 3), 2, (3,), encoder=encoder), 0)
    content = spec_to_json(spec)
    content["encoder"]["transform"].update(change)
    with refused(word):
        spec_from_json(content, spec_arrays(spec))
