"""Stock networks in files: the same again, or one refusal."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.artifact.run_folder import Artifact, load_artifact, save_artifact
from neuro.artifact.stock import network_arrays, network_from_json, network_to_json
from neuro.equilibrium.lif import StockDesign, build_stock_network
from neuro.front_ends.pixels import PixelEncoder
from neuro.stock.learning_engine import NOISES
from neuro.stock.processes import GradedRelu
from neuro.stock.rules import RULES


@st.composite
def networks(draw):
    rule = draw(st.sampled_from(list(RULES)))
    design = StockDesign(
        tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))),
        draw(st.integers(2, 4)),
        tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))),
        rule,
        squared_length=draw(st.floats(2.0, 200.0)),
        spacing=draw(st.integers(1, 2 if RULES[rule].silent else 3)),  # slots of 128 steps hold whole periods
        leak=draw(st.integers(0, 400)),
        feedback_shift=draw(st.integers(0, 2)),
        noise=draw(st.sampled_from(NOISES)),
        lsb=draw(st.integers(1, 2)),
        commit_every=draw(st.integers(1, 50)),
        encoder=PixelEncoder(draw(st.integers(0, 6)), None, draw(st.integers(0, 3))),
    )
    net = build_stock_network(design, draw(st.integers(0, 100)))
    generator = np.random.default_rng(draw(st.integers(0, 100)))
    return net.with_weights({p.name: generator.integers(-256, 256, p.weights.shape) for p in net.plastic})


def check_equal(first, second):
    assert first.populations == second.populations
    for name in ("schedule", "rule", "spacing", "pixels", "commit_every", "family"):
        assert getattr(first, name) == getattr(second, name)
    assert vars(first.encoder) == vars(second.encoder)
    for ours, theirs in zip(first.projections, second.projections, strict=True):
        assert {**vars(ours), "weights": 0} == {**vars(theirs), "weights": 0}
        np.testing.assert_array_equal(ours.weights, theirs.weights)


@settings(max_examples=30, deadline=None)
@given(networks())
def test_a_network_survives_the_round_trip_through_json_text_and_arrays(net):
    text = json.dumps(network_to_json(net), allow_nan=False)
    again = network_from_json(json.loads(text), network_arrays(net))
    check_equal(again, net)
    assert json.dumps(network_to_json(again)) == text
    assert set(network_arrays(net)) == {f"weights.{p.name}" for p in net.projections}


@settings(max_examples=10, deadline=None)
@given(networks())
def test_a_network_survives_the_round_trip_through_a_folder(tmp_path_factory, net):
    folder = tmp_path_factory.mktemp("run")
    save_artifact(folder, Artifact(net, {"seed": 3}))
    found = load_artifact(folder)
    check_equal(found.spec, net)
    assert found.manifest["seed"] == 3


NETWORK = build_stock_network(StockDesign((2, 3), 3, (4,)), 1)
CONTENT = json.loads(json.dumps(network_to_json(NETWORK)))
TOP = ("rule", "schedule", "encoder", "spacing", "pixels", "commit_every", "populations", "projections")
REQUIRED = [
    *((name,) for name in TOP),
    *(("schedule", "slots"), ("schedule", "slot_steps"), ("encoder", "activation_bits"), ("encoder", "gain_bits")),
    *(("populations", 3, "name"), ("populations", 3, "shape"), ("populations", 3, "neuron")),
    ("populations", 3, "neuron", "model"),
    *(("populations", 3, "neuron", key) for key in ("threshold", "voltage_decay", "reset_interval")),
    *(("projections", 0, key) for key in ("name", "source", "target", "rule", "exponent", "lsb", "transmits")),
    *(("projections", 0, "rule", key) for key in ("dw", "dt", "k", "t_epoch", "x1", "x2", "y1", "y2")),
    *(("projections", 0, "rule", "dw", 0, key) for key in ("mantissa", "exponent", "dependency", "factors")),
    *(("projections", 0, "rule", "dw", 0, "factors", 0, key) for key in ("variable", "constant", "sign")),
    *(("projections", 0, "rule", "x1", key) for key in ("impulse", "tau")),
]


def changed(path, value=None, *, delete=False):
    """The content with another value at a path, or without what was there."""
    content = copy.deepcopy(CONTENT)
    holder = content
    for key in path[:-1]:
        holder = holder[key]
    if delete:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return content


@pytest.mark.parametrize("path", REQUIRED, ids=lambda path: ".".join(map(str, path)))
def test_a_missing_entry_is_refused(path, refused):
    with refused():
        network_from_json(changed(path, delete=True), network_arrays(NETWORK))


LAWFUL = {  # other values of these kinds that an entry may have
    ("projections", 0, "rule"): [None],
    ("projections", 0, "rule", "dw"): [[]],
    ("projections", 0, "rule", "dt"): [[]],
    ("projections", 0, "rule", "dw", 0, "factors"): [[]],
    ("projections", 0, "rule", "dw", 0, "exponent"): [-1],
    ("projections", 0, "rule", "dw", 0, "mantissa"): [-1],
    ("projections", 0, "rule", "dw", 0, "factors", 0, "constant"): [-1],
    ("projections", 0, "exponent"): [-1],
}


@pytest.mark.parametrize("path", REQUIRED, ids=lambda path: ".".join(map(str, path)))
@pytest.mark.parametrize("value", [None, "x", -1, 2.5, [], [[]], [None], float("inf")], ids=repr)
def test_an_entry_of_another_kind_is_refused(path, value, refused):
    if value in LAWFUL.get(path, []):
        network_from_json(changed(path, value), network_arrays(NETWORK))
        return
    with refused():
        network_from_json(changed(path, value), network_arrays(NETWORK))


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("populations", 3, "neuron", "model"), "SigmaDelta", ["process 'SigmaDelta' is none of the stock set", "LIF"]),
        (("populations", 3, "neuron", "model"), "eval", ["process 'eval' is none of the stock set"]),
        (("populations", 3, "neuron", "colour"), 1, ["colour"]),
        (("populations", 3, "neuron", "threshold"), 2**17, ["threshold"]),
        (("populations", 3, "neuron", "threshold"), "9", ["threshold"]),
        (("populations", 3, "name"), "elsewhere", ["hidden"]),
        (("rule",), "event", ["event", "R5"]),
        (("schedule", "slots"), ["nudged"], ["schedule"]),
        (("encoder", "activation_bits"), 99, ["activation_bits"]),
        (("projections", 0, "lsb"), 4, ["lsb"]),
        (("projections", 0, "noise"), "loud", ["loud"]),
        (("projections", 0, "sign_mode"), "odd", ["odd"]),
        (("projections", 0, "target"), "nowhere", ["nowhere"]),
        (("projections", 0, "rule", "k"), 10, ["k 10"]),
        (("projections", 0, "rule", "dw", 0, "mantissa"), 8, ["mantissa 8"]),
        (("projections", 0, "rule", "dw", 0, "factors", 0, "variable"), "z1", ["z1"]),
        (("projections", 0, "rule", "x1", "tau"), 0, ["tau"]),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_wrong_entry_is_named(path, value, words, refused):
    with refused(*words):
        network_from_json(changed(path, value), network_arrays(NETWORK))


def test_a_missing_or_unfit_array_is_refused(refused):
    arrays = network_arrays(NETWORK)
    for name in arrays:
        with refused(name):
            network_from_json(CONTENT, {key: values for key, values in arrays.items() if key != name})
    name = f"weights.{NETWORK.plastic[0].name}"
    shape = arrays[name].shape
    for wrong in (np.zeros(shape), np.zeros(shape[::-1], np.int16), np.full(shape, 300), np.zeros(shape, "U3")):
        with refused(NETWORK.plastic[0].name):
            network_from_json(CONTENT, {**arrays, name: wrong})


def test_networks_of_the_other_family_are_not_taken(small_spec, tmp_path, refused):
    from neuro.artifact.sigma_delta import spec_arrays, spec_to_json

    with refused("not a stock network"):
        network_from_json(spec_to_json(small_spec), spec_arrays(small_spec))


def test_a_graded_neuron_where_spikes_are_needed_is_refused(refused):
    graded = tuple(replace(p, neuron=GradedRelu(9)) if p.name == "hidden" else p for p in NETWORK.populations)
    with refused("LIF target"):
        replace(NETWORK, graph=replace(NETWORK.graph, populations=graded))
