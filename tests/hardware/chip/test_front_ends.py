"""Microcode of front ends against the integers that it stands for, and what compile says of it."""

import numpy as np

from hardware.chip.front_ends import complex_cell_program, division_program, front_notes, generator_program
from hardware.chip.microcode import execute
from neuro.base.fixed_point import GENERATOR_STREAM, image_keys, stream_key, synapse_bits
from neuro.front_ends.named import fixed_front
from neuro.front_ends.normalisation import bits_of, relaxed
from neuro.front_ends.v1 import V1Choices, gabor_bank
from neuro.spec.neurons import generated


def test_a_generator_sends_what_the_law_says():
    key, units, chances = image_keys(1, 2, 1), np.arange(3000, dtype=np.uint32), np.arange(3000) * 10
    bits = synapse_bits(stream_key(key, GENERATOR_STREAM + 5), units)
    found = execute(generator_program(), {"bits": bits.astype(np.int64), "chance": chances})
    np.testing.assert_array_equal(found["q"], generated(chances, key, units, 5))
    assert 0 < found["q"].mean() < 1


def test_a_complex_cell_is_that_of_the_bank():
    bank = gabor_bank(V1Choices(channels=(0, 1), seed=0), (28, 28))
    pair = np.random.default_rng(0).integers(-(2**20), 2**20, (500, 2))
    found = execute(complex_cell_program(), {"a0": pair[:, 0], "a90": pair[:, 1]})
    np.testing.assert_array_equal(found["m"], bank.cells(pair)[:, 0])


def test_a_unit_that_divides_is_that_of_the_front_end():
    generator = np.random.default_rng(0)
    drive, leak = generator.integers(0, 2**24, 500), generator.integers(26, 2**14, 500)
    bits, state = bits_of(leak), np.zeros(500, dtype=np.int64)
    registers = {"u": state, "drive": drive, "leak": leak, "bits": bits}
    for _ in range(5):
        registers, state = execute(division_program(), registers), relaxed(state, drive, leak, bits)
        np.testing.assert_array_equal(registers["u"], state)
    assert (state > 0).any()


def test_notes_say_what_is_stock_and_what_is_microcode():
    host, cells = front_notes(fixed_front("v1", (28, 28)))
    assert "the host computes it" in host
    assert "simple cells are stock" in cells
    assert "complex cells need microcode" in cells
    assert "a unit that divides takes 7 operations" in front_notes(fixed_front("dn", (28, 28)))[1]
