"""What is benchmarked: a finished run with its data, and what is made once for several rows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from torch import nn

from benchmarks.bench.effort import Effort, of_spikes, unrolled
from benchmarks.bench.perceptron import train_perceptron
from hardware.compile.compiler import compile_network
from hardware.energy.constants import DEFAULT_SET
from hardware.energy.profile import Profile, profile
from neuro.artifact.run_folder import Artifact
from neuro.base.errors import UserError
from neuro.base.quantities import NotMeasurable
from neuro.data.sets import Dataset
from sim.training.config import TrainConfig

PRICED = 100  # test images whose operations are counted
SLAYER, IMPORTED = "slayer", "imported"


@dataclass(frozen=True, eq=False)
class Job:
    """A finished run of a classifier, with its data.

    run: its folder, in words; constants: energy constants of the chip; priced: test images to count and price, at most;
    rival: SLAYER's network for the same task, why there is none, or None if nobody asked; trained: gathers what was
    trained for it.
    """

    artifact: Artifact
    dataset: Dataset
    threads: int | None = None
    run: str = ""
    constants: str = DEFAULT_SET
    priced: int = PRICED
    rival: Job | NotMeasurable | None = None
    trained: dict[str, Any] = field(default_factory=dict)

    @property
    def spec(self) -> Any:
        """The network."""
        return self.artifact.spec

    @property
    def manifest(self) -> Mapping[str, Any]:
        """What the run says of itself."""
        return self.artifact.manifest

    @property
    def seed(self) -> int:
        """Seed of the run, and of its competitors."""
        return int(self.manifest["seed"])

    @property
    def by_slayer(self) -> bool:
        """Whether backpropagation in lava-dl trained it."""
        return bool(self.manifest.get("kind") == SLAYER)

    @property
    def brought(self) -> bool:
        """Whether another tool trained it."""
        return bool(self.manifest.get("kind") == IMPORTED)

    @property
    def title(self) -> str:
        """What its rows are called."""
        return SLAYER if self.by_slayer else IMPORTED if self.brought else "settle"

    @property
    def hidden(self) -> tuple[int, ...]:
        """Sizes of the hidden layers."""
        return tuple(self.manifest["config"]["hidden"])

    @property
    def config(self) -> TrainConfig:
        """How the run was trained, if by equilibrium propagation."""
        return TrainConfig(**{**self.manifest["config"], "hidden": self.hidden, "threads": self.threads})

    @cached_property
    def perceptron(self) -> nn.Sequential:
        """A trained perceptron of the same shape; do not change it."""
        model, validation = train_perceptron(self.dataset, self.hidden, self.seed)
        self.trained["perceptron, validation accuracy"] = validation.value
        return model

    @property
    def synapses(self) -> list[int]:
        """Synapses of each layer of the perceptron."""
        sizes = (math.prod(self.dataset.image_shape), *self.hidden, self.dataset.n_classes)
        return [pre * post for pre, post in itertools.pairwise(sizes)]

    @cached_property
    def profile(self) -> Profile | NotMeasurable:
        """What its first test images do and cost on the chip; or why it has no place there."""
        try:
            deployment = compile_network(self.spec, run=self.run)
        except UserError as error:
            return NotMeasurable(f"does not fit: {error}")
        return profile(self.artifact, deployment, min(self.priced, len(self.dataset.y_test)), self.constants)

    @cached_property
    def effort(self) -> Effort:
        """Spikes and operations of an image."""
        effort = of_spikes(self.profile, [population.name for population in self.spec.moving])
        if not self.by_slayer:
            return effort
        return unrolled(effort, [projection.weights.size for projection in self.spec.projections], self.spec.steps)
