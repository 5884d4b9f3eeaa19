"""Hidden layers as text: what is written is what is built, and nonsense is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.base.errors import UserError
from neuro.equilibrium.design import design_for
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.spec.layers import ConvolutionalLayer, Layer, describe, parse_layers, shapes_of

convolutions = st.builds(
    lambda features, extent, stride, *choices: ConvolutionalLayer(features, extent, min(stride, extent), *choices),
    *(st.integers(1, 9), st.integers(1, 7), st.integers(1, 3), st.booleans(), st.integers(1, 4), st.integers(1, 4)),
)
dense = st.integers(1, 300)


@given(st.lists(convolutions, max_size=3), st.lists(dense, max_size=3))
def test_layers_come_back_from_their_text(maps: list[Layer], sizes: list[Layer]) -> None:
    layers = (*maps, *sizes)
    if layers:
        assert parse_layers(describe(layers)) == layers


def test_the_words_of_the_manual() -> None:
    assert parse_layers("conv:32x5, pool:2, conv:64x5/2:valid, dense:128, 10") == (
        ConvolutionalLayer(32, 5, pool=2),
        ConvolutionalLayer(64, 5, 2, same=False),
        128,
        10,
    )
    assert parse_layers("conv:4x3,pool:2,rect,pool:3,8") == (ConvolutionalLayer(4, 3, pool=2, averaged=3), 8)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "''"), ("conv", "'conv'"), ("conv:32", "conv:32"), ("conv:0x3", "features 0"), ("conv:4x0", "extent"),
        ("conv:4x3/5", "stride"), ("conv:4x3/0", "stride"), ("pool:2", "no convolution"),
        ("64,pool:2", "no convolution"),
        ("conv:4x3,pool:2,pool:2", "no convolution"), ("conv:4x3,pool:0", "pool 0"), ("conv:4x3,pool:99", "pool 99"),
        ("64,conv:4x3", "convolutions come first"), ("dense:0", "at least one layer"), ("conv:4x3,,8", "''"),
        ("rect,pool:2", "'rect'"), ("conv:4x3,rect", "without the pool"), ("conv:4x3,rect,8", "without the pool"),
        ("conv:4x3,rect,rect,pool:2", "without the pool"), ("conv:4x3,rect,pool:2,pool:2", "no convolution"),
        ("conv:4x3,rect,pool:2,rect,pool:2", "'rect'"), ("8,rect,pool:2", "'rect'"),
        ("conv:4x3,rect,pool:0", "averaged 0"),
        ("conv:-4x3", "conv:-4x3"), ("conv:4x3:same", "conv:4x3:same"), ("dense:9999999", "65536"),
    ],
)  # fmt: skip
def test_nonsense_is_refused_and_named(text: str, word: str) -> None:
    with pytest.raises(UserError) as error:
        parse_layers(text)
    assert word in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("conv:4x9:valid", "smaller"),
        ("conv:4x3,pool:5", "does not tile"),
        ("conv:4x3,rect,pool:3,9", r"layer 9 on maps of shape \(8, 8, 4\): .*windows of 3 do not tile"),
        ("conv:4x3,rect,pool:2,conv:4x3/2", "stride 2 behind sums of 2"),
        ("conv:4x3,rect,pool:2,conv:4x5:valid", "smaller"),
    ],
)
def test_layers_that_do_not_fit_the_images_are_refused(text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        shapes_of((8, 8), parse_layers(text))


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(
        [
            "conv:3x3,pool:2",
            "conv:2x3/2,5",
            "conv:3x4:valid,conv:2x2,pool:2",
            "conv:3x3,rect,pool:2,conv:2x3,rect,pool:2",
            "conv:3x3,rect,pool:2,5",
        ]
    ),
)
def test_a_convolutional_network_has_a_transpose_of_every_layer_and_shared_biases(seed: int, text: str) -> None:
    layers = parse_layers(text)
    shape = (7, 9, 2) if "valid" in text else (8, 12)
    spec = build_equilibrium(design_for(shape, 3, layers), seed)
    shapes = shapes_of(shape, layers)
    assert [spec.population(f"hidden{i + 1}").shape for i in range(len(layers))] == shapes
    for index, layer in enumerate(layers):
        name = f"hidden{index + 1}"
        forward = spec.projection(f"{'input' if index == 0 else f'hidden{index}'}->{name}")
        bias = spec.projection(f"bias->{name}")
        assert (forward.convolution is None) == (isinstance(layer, int) and "rect" not in text)
        assert bias.weights is not None
        assert bias.weights.size == shapes[index][-1]
        after = f"hidden{index + 2}" if index + 1 < len(layers) else "output"
        assert spec.projection(f"{after}->{name}").transpose_of == f"{name}->{after}"
        np.testing.assert_array_equal(
            spec.weights_of(spec.projection(f"{after}->{name}")), spec.weights_of(spec.projection(f"{name}->{after}")).T
        )
