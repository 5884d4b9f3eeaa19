"""StockNetwork <-> plain JSON objects (everything but the weights) and a dictionary of weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from neuro.base.arrays import Array, NamedArrays
from neuro.base.errors import UserError
from neuro.front_ends.pixels import PixelEncoder
from neuro.stock.family import StockFamily
from neuro.stock.feed_forward import FeedForwardNetwork
from neuro.stock.learning_engine import EngineFactor, EngineProduct, EngineRule, EngineTrace
from neuro.stock.network import SlotSchedule, StockNetwork
from neuro.stock.processes import LIF, GradedRelu, SpikeInput, StockNeuron, StockPopulation, StockProjection, StockSpec

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

NEURONS: dict[str, type[SpikeInput] | type[LIF] | type[GradedRelu]] = {
    "SpikeInput": SpikeInput,
    "LIF": LIF,
    "GradedRelu": GradedRelu,
}
FEED_FORWARD = "stock-feed-forward"  # in place of the family, in files
TRACES = ("x1", "x2", "y1", "y2")
WEIGHTS_PREFIX = "weights."


def network_to_json(network: StockNetwork) -> dict[str, Any]:
    """The network without its weights as an object that `json` can write."""
    return {
        "family": network.family,
        "rule": network.rule,
        "schedule": asdict(network.schedule),
        "encoder": {"activation_bits": network.encoder.activation_bits, "gain_bits": network.encoder.gain_bits},
        "spacing": network.spacing,
        "pixels": list(network.pixels),
        "commit_every": network.commit_every,
        **graph_to_json(network.graph),
    }


def graph_to_json(graph: StockSpec) -> dict[str, Any]:
    """Populations and projections, without the weights, as an object that `json` can write."""
    return {
        "populations": [
            {"name": p.name, "shape": list(p.shape), "neuron": {"model": type(p.neuron).__name__, **asdict(p.neuron)}}
            for p in graph.populations
        ],
        "projections": [_projection_to_json(projection) for projection in graph.projections],
    }


def feed_forward_to_json(network: FeedForwardNetwork) -> dict[str, Any]:
    """The network without its weights as an object that `json` can write."""
    return {
        "family": FEED_FORWARD,
        "rule": network.rule,
        "steps": network.steps,
        "encoder": {"activation_bits": network.encoder.activation_bits, "gain_bits": network.encoder.gain_bits},
        "spacing": network.spacing,
        "pixels": list(network.pixels),
        **graph_to_json(network.graph),
    }


def network_arrays(network: StockFamily) -> dict[str, Array]:
    """The weights by projection."""
    return graph_arrays(network.graph)


def graph_arrays(graph: StockSpec) -> dict[str, Array]:
    """The weights by projection."""
    return {WEIGHTS_PREFIX + projection.name: projection.weights for projection in graph.projections}


def graph_from_json(content: Mapping[str, Any], arrays: NamedArrays, biased: tuple[str, ...] = ()) -> StockSpec:
    """Rebuild a graph from `graph_to_json` and `graph_arrays`.

    Raises: UserError, KeyError, TypeError, AttributeError or ValueError if something is missing or does not fit.
    """
    populations = tuple(
        StockPopulation(p["name"], tuple(int(n) for n in p["shape"]), _neuron_from_json(p["neuron"]))
        for p in content["populations"]
    )
    return StockSpec(populations, tuple(_projection_from_json(p, arrays) for p in content["projections"]), biased)


def network_from_json(content: Mapping[str, Any], arrays: NamedArrays) -> StockNetwork:
    """Rebuild a network from `network_to_json` and `network_arrays`.

    Raises: UserError if something is missing, of the wrong type, or does not fit together.
    """
    try:
        schedule, encoder = content["schedule"], content["encoder"]
        return StockNetwork(
            graph=graph_from_json(content, arrays),
            schedule=SlotSchedule(tuple(schedule["slots"]), schedule["slot_steps"], schedule.get("silent", 0)),
            encoder=PixelEncoder(encoder["activation_bits"], None, encoder["gain_bits"]),
            rule=content["rule"],
            spacing=content["spacing"],
            pixels=tuple(int(n) for n in content["pixels"]),
            commit_every=content["commit_every"],
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(
            f"spec: not a stock network of this version ({type(error).__name__}: {error}); train it again"
        ) from error


def feed_forward_from_json(content: Mapping[str, Any], arrays: NamedArrays) -> FeedForwardNetwork:
    """Rebuild a network from `feed_forward_to_json` and `network_arrays`; raises as `network_from_json` does."""
    try:
        encoder = content["encoder"]
        return FeedForwardNetwork(
            graph=graph_from_json(content, arrays),
            steps=content["steps"],
            encoder=PixelEncoder(encoder["activation_bits"], None, encoder["gain_bits"]),
            rule=str(content["rule"]),
            spacing=content["spacing"],
            pixels=tuple(int(n) for n in content["pixels"]),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(
            f"spec: not a feed-forward network of this version ({type(error).__name__}: {error}); train it again"
        ) from error


def _neuron_from_json(content: Mapping[str, Any]) -> StockNeuron:
    parameters = dict(content)
    model = parameters.pop("model")
    if model not in NEURONS:
        raise UserError(f"spec: process {model!r} is none of the stock set: {', '.join(NEURONS)}")
    return _whole(NEURONS[model], parameters)


Whole = TypeVar("Whole", bound="DataclassInstance")


def _whole(kind: type[Whole], content: Mapping[str, Any]) -> Whole:
    """The object that `content` describes; a missing field is an error even if the constructor has a default for it."""
    for field in fields(kind):
        if field.name not in content:
            raise KeyError(field.name)
        if field.type == "bool" and not isinstance(content[field.name], bool):
            raise TypeError(f"{field.name} {content[field.name]!r} is neither true nor false")
    return kind(**content)


def _projection_to_json(projection: StockProjection) -> dict[str, Any]:
    settings = {key: value for key, value in vars(projection).items() if key not in ("weights", "rule")}
    return {**settings, "rule": None if projection.rule is None else asdict(projection.rule)}


def _projection_from_json(content: Mapping[str, Any], arrays: NamedArrays) -> StockProjection:
    weights, rule = np.asarray(arrays[WEIGHTS_PREFIX + content["name"]]), content["rule"]
    made = None if rule is None else _rule_from_json(rule)
    return _whole(StockProjection, {**content, "weights": weights, "rule": made})


def _rule_from_json(content: Mapping[str, Any]) -> EngineRule:
    x1, x2, y1, y2 = (_whole(EngineTrace, content[name]) for name in TRACES)
    dw, dt = (tuple(_product_from_json(product) for product in content[name]) for name in ("dw", "dt"))
    return EngineRule(dw, dt, content["k"], content["t_epoch"], x1, x2, y1, y2)


def _product_from_json(content: Mapping[str, Any]) -> EngineProduct:
    factors = tuple(_whole(EngineFactor, factor) for factor in content["factors"])
    return EngineProduct(content["mantissa"], content["exponent"], content["dependency"], factors)
