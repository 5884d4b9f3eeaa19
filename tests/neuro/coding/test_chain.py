"""Chains: how codes are shown, names, weights, and what does not fit together."""

from dataclasses import replace

import numpy as np
import pytest

from neuro.base.errors import UserError
from neuro.coding.chain import Chain, is_chain, shown
from neuro.coding.dictionary import unit_norm
from neuro.coding.graded_relu import graded_coder
from neuro.coding.lif import spiking_coder
from neuro.equilibrium.design import design_for
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.front_ends.pixels import PixelEncoder

ATOMS = unit_norm(np.random.default_rng(0).random((9, 12)))
BACK = build_equilibrium(design_for((12,), 3, (5,), encoder=PixelEncoder(6)), 0)
CHAINS = [Chain(spiking_coder(ATOMS, 0.1), BACK), Chain(graded_coder(ATOMS, 0.1), BACK, 8)]
chains = pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: chain.front.kind)


def test_codes_are_rounded_and_kept_within_the_payloads():
    scores = np.array([[-300, 0, 127, 128, 383, 384, 16_255, 40_000]])
    np.testing.assert_array_equal(shown(scores, 8, 64), [[0, 0, 0, 1, 1, 2, 63, 64]])
    np.testing.assert_array_equal(shown(np.array([0, 1, 64, 65]), 0, 64), [0, 1, 64, 64])


@chains
def test_a_chain_shows_the_face_of_a_network(chain):
    assert is_chain(chain)
    assert not is_chain(BACK)
    assert not is_chain(None)
    assert (chain.n_inputs, chain.n_classes, chain.image_shape) == (9, 3, (9,))
    assert len({p.name for p in chain.populations}) == len(chain.populations)
    assert [p.name for p in chain.moving if p.name.startswith("front.")] == [
        f"front.{p.name}" for p in chain.front.moving
    ]
    assert len(chain.phases()) == chain.front.free_steps + len(BACK.phases())
    for projection in chain.projections:
        source = chain.population(projection.source)
        assert chain.fan_out(projection).shape == (source.size,)
        assert chain.population(projection.target).size >= chain.fan_out(projection).max() > 0


@chains
def test_weights_can_be_set_in_both(chain):
    given = {p.name: 0 * p.weights for p in chain.projections if p.weights is not None}
    changed = chain.with_weights(given)
    assert all(not p.weights.any() for p in changed.projections if p.weights is not None)
    assert [p.name for p in changed.projections] == [p.name for p in chain.projections]
    assert [p.source for p in changed.front.projections] == [p.source for p in chain.front.projections]
    assert changed.code_shift == chain.code_shift
    with pytest.raises(UserError, match="no weights to set for nothing"):
        chain.with_weights({"nothing": ATOMS})


@pytest.mark.parametrize(
    ("atoms", "back", "shift", "words"),
    [
        (ATOMS[:, :11], BACK, 0, "the coder has 11 codes, the network behind takes 12"),
        (ATOMS, replace(BACK, encoder=PixelEncoder(6, np.ones(12, np.int16))), 0, "train it on the codes as they are"),
        (ATOMS, BACK, -1, "code_shift -1 outside 0..30"),
        (ATOMS, BACK, 1.5, "code_shift"),
    ],
)
def test_what_does_not_fit_together_is_refused(atoms, back, shift, words):
    with pytest.raises(UserError, match=words):
        Chain(spiking_coder(atoms, 0.1), back, shift)
