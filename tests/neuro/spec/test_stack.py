"""Stacks: names, units, schedules, what is refused, and that taking one apart gives its parts back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from shared_coders import dense_coder, kernel_coder

from neuro.artifact.sigma_delta import spec_arrays, spec_from_json, spec_to_json
from neuro.base.convolution import square
from neuro.base.errors import UserError
from neuro.equilibrium.design import EquilibriumDesign
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.front_ends.pixels import PixelEncoder
from neuro.spec.neurons import SigmaDelta
from neuro.spec.sigma_delta import NetworkSpec
from neuro.spec.stack import stack, unstack


def classifier(n_inputs: int, bits: int = 5, hidden: tuple[int, ...] = (4,)) -> NetworkSpec:
    return build_equilibrium(EquilibriumDesign((n_inputs,), 3, hidden, encoder=PixelEncoder(bits)), 1)


def real(spec: NetworkSpec, name: str) -> np.ndarray:
    """Weights from payload units to real states of the target."""
    projection = spec.projection(name)
    bits = spec.population(projection.source).neuron.activation_bits
    return np.asarray(spec.weights_of(projection) * 2.0 ** -(projection.exponent + bits))


FRONT = dense_coder(6, 8)
KERNELS = kernel_coder((6, 6), square((6, 6), 2, 2, False), 3)


def test_a_stack_is_the_two_networks_joined_at_the_code() -> None:
    back = classifier(8)
    joined = stack(FRONT, back)
    assert [p.name for p in joined.populations] == ["input", "code", "bias", "hidden1", "output"]
    assert [p.name for p in joined.projections] == [
        "input->code", "code->code", "code->hidden1", "bias->hidden1", "hidden1->output", "output->hidden1",
        "bias->output",
    ]  # fmt: skip
    assert (joined.input, joined.output, joined.encoder) == ("input", "output", FRONT.encoder)
    assert joined.projection("output->hidden1").transpose_of == "hidden1->output"
    for name in ("input->code", "code->code"):
        np.testing.assert_array_equal(joined.projection(name).weights, FRONT.projection(name).weights)


@pytest.mark.parametrize("bits", [5, 6, 8])
def test_a_payload_of_the_code_does_what_a_payload_of_the_input_did(bits: int) -> None:
    """While trained, 2**bits payload units count as 1; behind the code they are 2**6 to 1: the exponent makes it up."""
    back = classifier(8, bits)
    joined = stack(FRONT, back)
    np.testing.assert_array_equal(real(joined, "code->hidden1"), real(back, "input->hidden1"))
    assert joined.shift_of(joined.projection("code->hidden1")) == back.shift_of(back.projection("input->hidden1"))
    for name in ("hidden1->output", "bias->hidden1"):
        assert joined.projection(name).exponent == back.projection(name).exponent


def test_the_free_phase_lasts_as_long_as_both_and_nudges_are_those_of_the_back() -> None:
    back = classifier(8)
    joined = stack(FRONT, back)
    free, *nudged = joined.schedule.phases
    assert free.steps == FRONT.schedule.phases[0].steps + back.schedule.phases[0].steps
    assert tuple(nudged) == back.schedule.phases[1:]
    assert joined.schedule.nudge == back.schedule.nudge


def three_levels() -> tuple[NetworkSpec, NetworkSpec, NetworkSpec]:
    second = dense_coder(KERNELS.n_classes, 8, layout="residual", encoder=PixelEncoder(7))
    return KERNELS, second, classifier(8)


def test_names_that_are_taken_get_a_number() -> None:
    first, second, third = three_levels()
    joined = stack(stack(first, second), third)
    names = [p.name for p in joined.populations]
    assert names == ["input", "residual", "code", "residual2", "code2", "bias", "hidden1", "output"]
    links = {p.name: p for p in joined.projections}
    assert set(links) == {
        "input->residual", "residual->code", "code->residual", "code->code", "code->residual2", "residual2->code2",
        "code2->residual2", "code2->code2", "code2->hidden1", "bias->hidden1", "hidden1->output", "output->hidden1",
        "bias->output",
    }  # fmt: skip
    assert (links["code2->residual2"].transpose_of, links["code2->residual2"].sign) == ("residual2->code2", -1)
    fourth = stack(stack(stack(first, second), dense_coder(8, 8, layout="residual", encoder=PixelEncoder(7))), third)
    assert [p.name for p in fourth.populations[5:7]] == ["residual3", "code3"]


def test_a_stack_survives_being_saved() -> None:
    first, second, third = three_levels()
    joined = stack(stack(first, second), third)
    loaded = spec_from_json(spec_to_json(joined), spec_arrays(joined))
    assert spec_to_json(loaded) == spec_to_json(joined)
    for projection in joined.projections:
        np.testing.assert_array_equal(
            loaded.weights_of(loaded.projection(projection.name)), joined.weights_of(projection)
        )


def same_network(found: NetworkSpec, wanted: NetworkSpec) -> None:
    """The same weights, units and neurons in the same order, whatever their names."""
    index, other = found.population_index, wanted.population_index
    assert [p.neuron for p in found.populations[1:]] == [p.neuron for p in wanted.populations[1:]]
    assert [p.shape for p in found.populations[1:]] == [p.shape for p in wanted.populations[1:]]
    for mine, theirs in zip(found.projections, wanted.projections, strict=True):
        assert (index[mine.source], index[mine.target]) == (other[theirs.source], other[theirs.target])
        assert (mine.exponent, mine.sign, mine.rule) == (theirs.exponent, theirs.sign, theirs.rule)
        np.testing.assert_array_equal(found.weights_of(mine), wanted.weights_of(theirs))


def test_a_stack_taken_apart_gives_its_parts() -> None:
    first, second, third = three_levels()
    below = stack(first, second)
    front, back = unstack(stack(below, third), input_bits=5)
    assert front is not None
    same_network(front, below)
    same_network(back, third)
    assert [p.name for p in front.populations] == [p.name for p in below.populations]
    assert front.projection("code2->residual2").transpose_of == "residual2->code2"
    lowest, middle = unstack(front, input_bits=7)
    assert lowest is not None
    same_network(lowest, first)
    same_network(middle, second)
    assert lowest.encoder == first.encoder


@pytest.mark.parametrize("alone", [FRONT, KERNELS, classifier(8), classifier(8, hidden=(4, 3))], ids=range(4))
def test_what_is_no_stack_stays_as_it_is(alone: NetworkSpec) -> None:
    assert unstack(alone) == (None, alone)


def test_two_hidden_layers_are_one_network() -> None:
    back = classifier(8, hidden=(4, 3))
    front, found = unstack(stack(FRONT, back), input_bits=5)
    assert front is not None
    same_network(front, FRONT)
    same_network(found, back)


def test_without_bits_codes_keep_their_units() -> None:
    joined = stack(FRONT, classifier(8, 8))
    _, back = unstack(joined)
    assert back.population("code").neuron.activation_bits == FRONT.population("code").neuron.activation_bits
    np.testing.assert_array_equal(real(back, "code->hidden1"), real(joined, "code->hidden1"))


def test_what_cannot_be_stacked_is_refused() -> None:
    with pytest.raises(UserError, match="code has 8 neurons, the network behind it takes 9"):
        stack(FRONT, classifier(9))
    with pytest.raises(UserError, match="offset"):
        stack(FRONT, dense_coder(8, 4))
    with pytest.raises(UserError, match="normalises or whitens"):
        stack(FRONT, dense_coder(8, 4, encoder=PixelEncoder(5).contrast_normalised()))
    whitened = PixelEncoder(5).whitened_on(np.random.default_rng(0).random((40, 5)))
    front = dense_coder(5, 8, encoder=whitened)
    assert stack(front, classifier(8)).encoder is whitened
    fine = replace(FRONT.population("code").neuron, activation_bits=12, state_bits=16)
    assert isinstance(fine, SigmaDelta)
    coarse = classifier(8, 0)
    coarse = replace(coarse, projections=tuple(replace(p, exponent=min(p.exponent, 3)) for p in coarse.projections))
    populations = tuple(replace(p, neuron=fine) if p.name == "code" else p for p in FRONT.populations)
    projections = tuple(replace(p, exponent=4) if p.source == "code" else p for p in FRONT.projections)
    with pytest.raises(UserError, match="too coarse weights"):
        stack(replace(FRONT, populations=populations, projections=projections), coarse)
