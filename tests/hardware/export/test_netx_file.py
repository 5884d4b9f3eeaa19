import io

import h5py
import numpy as np
import pytest

pytest.importorskip("lava.lib.dl")
from shared_export import feed_forward
from shared_refused import refused

from hardware.export.netx import netx_bytes
from hardware.export.netx_file import check_netx

pytestmark = pytest.mark.lava


@pytest.fixture(scope="module")
def content():
    return netx_bytes(feed_forward().graph)


def edited(content, change):
    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+") as file:
        change(file)
    return buffer.getvalue()


def put(name, value):
    def change(file):
        del file[name]
        file[name] = value

    return change


def test_the_layers_are_those_that_were_written(content):
    first, second = check_netx(content, "x.net")
    assert (first.weights.shape, second.weights.shape) == ((5, 7), (3, 5))
    assert (first.current_decay, first.voltage_decay, first.threshold) == (1024, 123, 80)
    np.testing.assert_array_equal(second.weights.T, feed_forward().graph.projections[1].effective)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put("layer/0/inFeatures", 0), "layer 0: inFeatures 0 outside"),
        (put("layer/0/inFeatures", 8), "weights are float32 (5, 7)"),
        (put("layer/0/outFeatures", "five"), "layer 0: outFeatures is"),
        (put("layer/1/neuron/type", "RF"), "layer 1: neuron 'RF' is unknown"),
        (put("layer/1/type", "sparse"), "layer 1: type 'sparse' is unknown"),
        (put("layer/1/weight", np.full((3, 5), np.nan)), "not finite"),
        (put("layer/1/neuron/vDecay", -1), "vDecay -1 outside 0..4096"),
        (lambda file: file.__delitem__("layer"), "no netx file"),
        (lambda file: file.__delitem__("layer/0"), "no netx file"),
    ],
)
def test_what_no_chain_holds_is_named(change, words, content):
    with refused("x.net", words):
        check_netx(edited(content, change), "x.net")
