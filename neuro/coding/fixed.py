"""Front ends that do not learn as networks of their own: one projection of fixed weights, one population.

Like a sparse coder they stand before any network (`neuro.spec.stack`): one specification, one graph.
"""

from __future__ import annotations

import math

from neuro.base.errors import UserError
from neuro.front_ends.fovea import WEIGHT_EXPONENT, FoveaChoices, n_samples, resampling
from neuro.front_ends.named import choices_of, name_of
from neuro.front_ends.pixels import PixelEncoder
from neuro.spec.graph import Population
from neuro.spec.neurons import SigmaDelta, Source
from neuro.spec.projection import Projection
from neuro.spec.schedule import Phase, Schedule
from neuro.spec.sigma_delta import NetworkSpec

NETWORKS = ("fovea",)
PIXEL_BITS, PAYLOAD_BITS, STATE_BITS = 8, 5, 16
STEPS = 2  # pixels arrive, samples are sent


def fixed_network(text: str, image_shape: tuple[int, ...]) -> NetworkSpec:
    """The network that a text asks for, e.g. "fovea:fixations=5", for images of a shape.

    Raises: UserError if the name or a choice is unknown, or does not suit the images.
    """
    choices = choices_of(text)
    if name_of(text) not in NETWORKS:
        raise UserError(f"front end {text}: stands before a network that learns labels; a coder takes images, codes")
    return fovea_network(choices, image_shape)


def is_linear(spec: NetworkSpec) -> bool:
    """Whether a network is one projection of fixed weights from its input to its output, and nothing else."""
    ends = [(projection.source, projection.target, projection.rule) for projection in spec.projections]
    return ends == [(spec.input, spec.output, None)]


def fovea_network(choices: FoveaChoices, image_shape: tuple[int, ...]) -> NetworkSpec:
    """The samples of an image as a population that sends them once: payload = round(32 sample).

    Raises: UserError if the images do not suit.
    """
    one = 1 << STATE_BITS
    unit = SigmaDelta(STATE_BITS, PAYLOAD_BITS, 0, one, step_multiplier=1, step_shift=0)
    shape = (n_samples(choices, image_shape) * math.prod(image_shape[2:]),)
    return NetworkSpec(
        populations=(
            Population("pixels", image_shape, Source(PIXEL_BITS, 1 << PIXEL_BITS)), Population("samples", shape, unit),
        ),
        projections=(
            Projection("pixels->samples", "pixels", "samples", WEIGHT_EXPONENT, resampling(choices, image_shape)),
        ),
        schedule=Schedule((Phase("free", STEPS),)),
        input="pixels",
        output="samples",
        encoder=PixelEncoder(PIXEL_BITS),
    )  # fmt: skip
