"""A network beside recorded neurons: every measure of every layer with every region, and the best layer of each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuro.base.arrays import AnyArray, Reals
from neuro.base.checks import Range
from neuro.base.errors import UserError
from neuro.base.shown import Lines, Shown
from neuro.data.recordings import Recordings
from neuro.spec.network import Network
from sim.backends.protocol import get_backend
from sim.brain.ceilings import mean_response
from sim.brain.config import CompareConfig
from sim.brain.likeness import alignment, geometry, likeness_of_geometry
from sim.brain.measure import Measure
from sim.brain.predictivity import predictivity

Layers = dict[str, Reals]  # responses of shape [n, N]
PIXELS = "pixels"  # beside the layers: what the network was shown
CHUNK = 1024  # images at a time


@dataclass(frozen=True, repr=False)
class Comparison(Shown):
    """measures: by region, by name of the measure, by layer, PIXELS among them.  n: stimuli; n_missing responses."""

    run: str
    n: int
    n_missing: int
    step: int | None
    measures: dict[str, dict[str, dict[str, Measure]]]

    @staticmethod
    def best(by_layer: Mapping[str, Measure]) -> str:
        """The layer with the largest value, the earliest of equals; pixels are none."""
        layers = [name for name in by_layer if name != PIXELS]
        values = {name: by_layer[name].value for name in layers}
        return max(layers, key=lambda name: -math.inf if (value := values[name]) is None else value)

    def lines(self) -> Lines:
        """See `Shown`."""
        missing = f", {self.n_missing} responses missing" if self.n_missing else ""
        when = "settled" if self.step is None else f"after {self.step} steps"
        rows = [("run", self.run), ("stimuli", f"{self.n}{missing}; the network {when}")]
        for region, by_name in self.measures.items():
            for name, by_layer in by_name.items():
                layer = self.best(by_layer)
                rows.append((f"{region}, {name}", f"{layer}: {by_layer[layer].describe()}"))
                rows.append(("", f"{PIXELS}: {by_layer[PIXELS].describe()}"))
        return rows

    def to_json(self) -> dict[str, Any]:
        """The object that `settle compare --json` prints."""
        regions = {
            region: {name: self._told(by_layer) for name, by_layer in by_name.items()}
            for region, by_name in self.measures.items()
        }
        return {"run": self.run, "n": self.n, "n_missing": self.n_missing, "step": self.step, "regions": regions}

    def _told(self, by_layer: Mapping[str, Measure]) -> dict[str, Any]:
        layer = self.best(by_layer)
        layers = {name: measure.value for name, measure in by_layer.items()}
        return {**by_layer[layer].to_json(), "layer": layer, "layers": layers}


def layers_of(spec: Network, pixels: AnyArray, config: CompareConfig) -> Layers:
    """What every moving population answers to images [n, ...], in its own units; and the payloads as PIXELS.

    Raises: UserError for a step that the network does not take.
    """
    if config.step is not None:
        if spec.family != "sigma-delta":
            raise UserError(f"step {config.step}: of sigma-delta networks only; leave it out")
        Range(1, spec.free_steps).require("compare", step=config.step)
    parts: list[Layers] = []
    with get_backend(spec.native_backend).open(spec, threads=config.threads) as session:
        for first in range(0, len(pixels), CHUNK):
            payloads = spec.encoder.encode(pixels[first : first + CHUNK])
            record = session.run(payloads, keep_states=True, keep_spikes=config.step is not None)
            states = record.states or {spec.output: record.output_states[:, None]}
            part = {p.name: states[p.name][:, 0] for p in spec.moving if p.name in states}
            if config.step is not None and record.spikes is not None:
                part = {name: np.zeros_like(values) for name, values in part.items()}
                spikes, index = record.spikes, [p.name for p in spec.populations]
                for name, values in part.items():
                    mine = (spikes.population == index.index(name)) & (spikes.step <= config.step)
                    np.add.at(values, (spikes.image[mine], spikes.neuron[mine]), spikes.payload[mine])
            parts.append({PIXELS: payloads.astype(np.float64), **{n: v.astype(np.float64) for n, v in part.items()}})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def compare(run: str, layers: Layers, recordings: Recordings, config: CompareConfig) -> Comparison:
    """Every measure asked for, of every layer with every region, over images that all units of a region saw."""
    found: dict[str, dict[str, dict[str, Measure]]] = {}
    for region in dict.fromkeys(recordings.regions):
        units = recordings.units_of(region)
        whole = np.isfinite(mean_response(units.responses)).all(axis=1)
        responses = units.responses[whole]
        found[region] = {
            name: {layer: _measured(name, states[whole], units, responses, config) for layer, states in layers.items()}
            for name in config.measures
        }
    return Comparison(run, len(recordings.responses), recordings.n_missing, config.step, found)


def _measured(name: str, states: Reals, units: Recordings, responses: Reals, config: CompareConfig) -> Measure:
    """One measure of states [n, N] with the responses [n, units, repeats] of one region, or its dissimilarities."""
    if units.geometries is not None:
        if name == "rsa":
            return likeness_of_geometry(states, units.geometries, config.seed)
        return Measure(None, n=len(states), reason="of dissimilarities there is rsa only")
    if name == "cka":
        return alignment(states, responses)
    if name == "rsa":
        return geometry(states, responses, units.subjects, config.seed)
    return predictivity(states, responses, name, config.seed)
