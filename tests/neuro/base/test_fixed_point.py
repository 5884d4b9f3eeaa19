import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.base.fixed_point import (
    image_key,
    image_keys,
    mix32,
    nudge_sign,
    quantize,
    round_shift,
    saturate,
    stochastic_shift,
    stream_key,
    synapse_bits,
    weight_limit,
)

law = settings(max_examples=60, deadline=None)
words = st.integers(0, 2**32 - 1)
seeds = st.integers(0, 2**64 - 1)


def unmix32(y: int) -> int:
    """Inverse of mix32 in Python integers, from its definition read backwards."""
    y ^= y >> 16
    y = y * pow(0x846CA68B, -1, 2**32) % 2**32
    y ^= (y >> 15) ^ (y >> 30)
    y = y * pow(0x7FEB352D, -1, 2**32) % 2**32
    return y ^ (y >> 16)


@law
@given(st.integers(-(2**70), 2**70), st.integers(0, 40))
def test_round_shift_is_floor_of_the_quotient_plus_a_half(x, shift):
    assert round_shift(x, shift) == math.floor(Fraction(x, 2**shift) + Fraction(1, 2))


@law
@given(st.lists(st.integers(-(2**30), 2**30 - 1), min_size=1), st.integers(0, 20), words)
def test_shifts_of_int64_arrays_equal_those_of_python_integers(values, shift, bits):
    array = np.array(values, dtype=np.int64)
    assert round_shift(array, shift).tolist() == [round_shift(x, shift) for x in values]
    assert stochastic_shift(array, shift, bits).tolist() == [stochastic_shift(x, shift, bits) for x in values]


@law
@given(st.integers(-(2**40), 2**40), st.integers(0, 10))
def test_stochastic_shift_is_exactly_unbiased(x, shift):
    results = [stochastic_shift(x, shift, bits) for bits in range(2**shift)]
    assert Fraction(sum(results), len(results)) == Fraction(x, 2**shift)
    assert set(results) <= {x >> shift, (x >> shift) + 1}


@law
@given(st.integers(-(2**30), 2**30), st.integers(0, 20), words, st.integers(0, 2**11))
def test_stochastic_shift_reads_only_the_low_bits(x, shift, bits, above):
    low = bits % 2**shift
    assert stochastic_shift(x, shift, low + (above << shift)) == stochastic_shift(x, shift, low)


@law
@given(st.lists(words, min_size=1))
def test_mix32_is_a_bijection(values):
    mixed = mix32(np.array(values, dtype=np.uint32))
    assert mixed.dtype == np.uint32
    assert [unmix32(int(y)) for y in mixed] == values


@law
@given(seeds, st.integers(0, 2**40), st.lists(st.integers(0, 20), min_size=1, max_size=6))
def test_image_keys_of_chunks_make_those_of_the_whole_range(seed, first, counts):
    starts = [first + sum(counts[:index]) for index in range(len(counts))]
    chunks = [image_keys(seed, start, count) for start, count in zip(starts, counts, strict=True)]
    np.testing.assert_array_equal(np.concatenate(chunks), image_keys(seed, first, sum(counts)))


@law
@given(seeds, st.integers(0, 2**40))
def test_image_key_is_the_first_of_image_keys(seed, presentation):
    key = image_key(seed, presentation)
    assert type(key) is int
    assert key == image_keys(seed, presentation, 3)[0]


@law
@given(seeds, st.sampled_from([0, 2**32 - 500, 2**33 + 7]))
def test_image_keys_of_one_seed_do_not_repeat_in_a_thousand(seed, first):
    # Injective within a block of 2**32 presentations; across two blocks a chance hit has probability 6e-5 only.
    keys = image_keys(seed, first, 1000)
    assert len(np.unique(keys)) >= 999


@pytest.mark.parametrize("bit", range(64))
def test_every_bit_of_the_seed_changes_the_keys(bit):
    assert np.count_nonzero(image_keys(5, 0, 100) == image_keys(5 ^ (1 << bit), 0, 100)) <= 1


@pytest.mark.parametrize("bit", range(7, 63))
def test_every_bit_of_the_presentation_changes_the_keys(bit):
    assert np.count_nonzero(image_keys(5, 0, 100) == image_keys(5, 1 << bit, 100)) <= 1


@law
@given(seeds)
def test_nudge_signs_are_plus_or_minus_one_and_balanced(seed):
    signs = nudge_sign(image_keys(seed, 0, 4096))
    assert set(np.unique(signs)) == {-1, 1}
    assert abs(int(signs.sum())) < 7 * math.sqrt(4096)


@law
@given(seeds, st.integers(0, 30), st.integers(0, 30))
def test_streams_of_one_image_are_unrelated(seed, stream, other):
    keys = image_keys(seed, 0, 256)
    difference = np.unpackbits((stream_key(keys, stream) ^ stream_key(keys, other)).view(np.uint8)).mean()
    if stream == other:
        assert difference == 0
    else:
        assert abs(difference - 0.5) < 0.04


@law
@given(words, words)
def test_synapse_bits_are_uniform_and_distinct_within_a_stream(key, first):
    index = (first + np.arange(4096)) % 2**32
    bits = synapse_bits(np.full(4096, key, dtype=np.uint32), index.astype(np.uint32))
    assert len(np.unique(bits)) == 4096
    share = np.unpackbits(bits.view(np.uint8)).reshape(-1, 32).mean(axis=0)
    assert np.all(np.abs(share - 0.5) < 7 / (2 * math.sqrt(4096)))


@pytest.mark.parametrize("bits", range(2, 9))
def test_weight_limit_is_the_largest_magnitude_whose_negation_also_fits(bits):
    limit, register = weight_limit(bits), range(-(2 ** (bits - 1)), 2 ** (bits - 1))
    assert limit in register
    assert -limit in register
    assert limit + 1 not in register


@law
@given(st.lists(st.integers(-(2**40), 2**40), min_size=1), st.integers(-300, 300), st.integers(0, 600))
def test_saturate_is_the_nearest_value_of_the_range(values, lower, width):
    clipped = saturate(np.array(values), lower, lower + width)
    assert clipped.tolist() == [min(max(x, lower), lower + width) for x in values]


@law
@given(
    st.lists(st.floats(-1e6, 1e6, width=32, allow_subnormal=False), min_size=1),
    st.integers(0, 22),
    st.integers(1, 2**24),
)
def test_quantize_rounds_to_nearest_and_saturates(values, exponent, limit):
    expected = [min(max(math.floor(Fraction(x) * 2**exponent + Fraction(1, 2)), -limit), limit) for x in values]
    assert quantize(values, exponent, -limit, limit).tolist() == expected


@law
@given(st.lists(st.integers(-1000, 1000), min_size=1), st.integers(0, 22))
def test_quantize_rounds_ties_up(integers, exponent):
    ties = (np.array(integers) + 0.5) * 2.0**-exponent
    assert quantize(ties, exponent, -2000, 2000).tolist() == [k + 1 for k in integers]


@law
@given(st.lists(st.integers(-127, 127), min_size=1), st.integers(0, 22))
def test_quantize_returns_every_representable_value_unchanged(integers, exponent):
    real = np.array(integers) * 2.0**-exponent
    assert quantize(real, exponent, -127, 127).tolist() == integers


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_quantize_refuses_what_is_no_number(value):
    with pytest.raises(ValueError, match="NaN or infinity"):
        quantize([0.5, value], 3, -7, 7)
