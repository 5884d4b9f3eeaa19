"""NetworkSpec <-> plain JSON objects (everything but the arrays) and a dictionary of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from neuro.base.arrays import Array, NamedArrays
from neuro.base.convolution import Convolution
from neuro.base.errors import UserError
from neuro.front_ends.named import front_arrays, front_from_json, front_to_json
from neuro.front_ends.pixels import PixelEncoder
from neuro.front_ends.whitening import Transform
from neuro.spec.graph import Population
from neuro.spec.neurons import Generator, NeuronModel, SigmaDelta, Source
from neuro.spec.plasticity import LearningRule, learning_rule
from neuro.spec.projection import Projection
from neuro.spec.schedule import PARALLEL, RELAXING, Phase, Schedule
from neuro.spec.sigma_delta import NetworkSpec

NEURONS: dict[str, type[Source] | type[SigmaDelta]] = {
    "Source": Source,
    "Generator": Generator,
    "SigmaDelta": SigmaDelta,
}
OFFSET_KEY, WHITENING_KEY = "encoder.offset", "encoder.whitening"
WEIGHTS_PREFIX = "weights."


def spec_to_json(spec: NetworkSpec) -> dict[str, Any]:
    """The spec without its arrays as an object that `json` can write."""
    return {
        "family": spec.family,
        "input": spec.input,
        "output": spec.output,
        "encoder": encoder_to_json(spec.encoder),
        "schedule": _schedule_to_json(spec.schedule),
        "populations": [
            {"name": p.name, "shape": list(p.shape), "neuron": _neuron_to_json(p.neuron)} for p in spec.populations
        ],
        "projections": [_projection_to_json(projection) for projection in spec.projections],
    }


def _schedule_to_json(schedule: Schedule) -> dict[str, Any]:
    """A schedule; what is as in versions that knew nothing else is left out."""
    content = asdict(schedule)
    if schedule.order == PARALLEL:
        del content["order"]
    if schedule.force == RELAXING:
        del content["force"]
    return content


def spec_arrays(spec: NetworkSpec) -> dict[str, Array]:
    """The arrays of a spec: weights by projection, the encoder's offset and whitening."""
    arrays: dict[str, Array] = {WEIGHTS_PREFIX + p.name: p.weights for p in spec.projections if p.weights is not None}
    return arrays | encoder_arrays(spec.encoder)


def encoder_arrays(encoder: PixelEncoder) -> dict[str, Array]:
    """The arrays of an encoder: its offset, its whitening, those of its front end, if any."""
    arrays: dict[str, Array] = {}
    if encoder.offset is not None:
        arrays[OFFSET_KEY] = encoder.offset
    if encoder.transform is not None and encoder.transform.whitening is not None:
        arrays[WHITENING_KEY] = encoder.transform.whitening
    if encoder.fixed is not None:
        arrays |= front_arrays(encoder.fixed)
    return arrays


def spec_from_json(content: Mapping[str, Any], arrays: NamedArrays) -> NetworkSpec:
    """Rebuild a spec from `spec_to_json` and `spec_arrays`.

    Raises: UserError if something is missing, of the wrong type, or does not fit together.
    """
    try:
        schedule = dict(content["schedule"])
        phases = tuple(Phase(**phase) for phase in schedule.pop("phases"))
        return NetworkSpec(
            populations=tuple(
                Population(p["name"], tuple(int(n) for n in p["shape"]), _neuron_from_json(p["neuron"]))
                for p in content["populations"]
            ),
            projections=tuple(_projection_from_json(p, arrays) for p in content["projections"]),
            schedule=Schedule(phases, **schedule),
            input=content["input"],
            output=content["output"],
            encoder=encoder_from_json(content["encoder"], arrays),
            family=content["family"],
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(
            f"spec: not a network specification of this version ({type(error).__name__}: {error})"
        ) from error


def encoder_to_json(encoder: PixelEncoder) -> dict[str, Any]:
    """An encoder without its arrays as an object that `json` can write."""
    content: dict[str, Any] = {
        "activation_bits": encoder.activation_bits,
        "gain_bits": encoder.gain_bits,
        "centred": encoder.offset is not None,
    }
    if encoder.transform is not None:  # absent from artifacts of versions without transforms
        content["transform"] = {
            "limit": encoder.transform.limit,
            "contrast_floor": encoder.transform.contrast_floor,
            "whitened": encoder.transform.whitening is not None,
            "exponent": encoder.transform.exponent,
        }
    if encoder.fixed is not None:
        content["fixed"] = front_to_json(encoder.fixed)
    return content


def encoder_from_json(content: Mapping[str, Any], arrays: NamedArrays) -> PixelEncoder:
    """Rebuild an encoder from `encoder_to_json` and `encoder_arrays`. Raises: KeyError, TypeError, ..., UserError."""
    offset = arrays[OFFSET_KEY].astype(np.int16) if content["centred"] else None
    transform = None
    if content.get("transform") is not None:
        fields = dict(content["transform"])
        whitening: Any = arrays[WHITENING_KEY] if fields.pop("whitened") else None
        transform = Transform(**fields, whitening=whitening)
    fixed = None if content.get("fixed") is None else front_from_json(content["fixed"], arrays)
    return PixelEncoder(content["activation_bits"], offset, content["gain_bits"], transform, fixed)


def _neuron_to_json(neuron: NeuronModel) -> dict[str, Any]:
    return {"model": type(neuron).__name__, **asdict(neuron)}


def _neuron_from_json(content: Mapping[str, Any]) -> NeuronModel:
    parameters = dict(content)
    model = parameters.pop("model")
    if model not in NEURONS:
        raise UserError(f"spec: neuron model {model!r} is unknown; this version knows {', '.join(NEURONS)}")
    return NEURONS[model](**parameters)


def _rule_to_json(rule: LearningRule | None) -> dict[str, Any] | None:
    return None if rule is None else {"name": rule.name, "shadow_bits": rule.shadow_bits}


def _projection_to_json(projection: Projection) -> dict[str, Any]:
    return {
        "name": projection.name,
        "source": projection.source,
        "target": projection.target,
        "exponent": projection.exponent,
        "weight_bits": projection.weight_bits,
        "transpose_of": projection.transpose_of,
        "rule": _rule_to_json(projection.rule),
        "sign": projection.sign,
        "convolution": None if projection.convolution is None else asdict(projection.convolution),
    }


def _projection_from_json(content: Mapping[str, Any], arrays: NamedArrays) -> Projection:
    fields = dict(content)
    rule, convolution = fields.pop("rule"), fields.pop("convolution", None)
    is_transpose = fields["transpose_of"] is not None
    weights: Any = None if is_transpose else np.asarray(arrays[WEIGHTS_PREFIX + fields["name"]])
    return Projection(
        **fields,
        weights=weights,
        rule=None if rule is None else learning_rule(**rule),
        convolution=None if convolution is None else _convolution_from_json(convolution),
    )


def _convolution_from_json(content: Mapping[str, Any]) -> Convolution:
    return Convolution(
        tuple(content["kernel"]),
        tuple(content["stride"]),
        tuple((pad[0], pad[1]) for pad in content["padding"]),
        tuple(content.get("pool", ())),  # absent from artifacts of versions without pooling
        tuple(content.get("dilation", ())),  # absent from those of versions without it
    )
