"""A training with recordings as teachers: a current on a hidden layer that changes sign with the nudge.

Every batch is settled once without targets; from its free states the host computes the force of a cost
(`sim.brain.guidance`), in integers a payload for each image and unit; then the batch is learned with it. One more free
phase is the price. Images without recordings are learned as ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from neuro.base.arrays import Int32, Int64, Integers, Reals
from neuro.base.errors import UserError
from neuro.data.recordings import load_recordings
from neuro.data.sets import Dataset
from neuro.equilibrium.head import HEAD, with_head
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.checks import largest_current
from sim.backends.record import LearningOutcome
from sim.backends.session import Rates
from sim.brain.guidance import Cost, controlled, cost_of, normalised, recorded
from sim.training.config import NO_CONTROL, RECORDED, TrainConfig
from sim.training.trainer import Trainer

GUIDE = "guide "  # of arrays in a checkpoint


@dataclass(frozen=True, eq=False)
class Guide:
    """responses of shape [n, M], normalised, to the images of a training set; cost on `layer`, of a weight."""

    responses: Reals
    layer: str
    cost: Cost
    weight: float

    def currents(self, spec: NetworkSpec, states: Int32, chosen: Int64) -> Int32:
        """The currents [B, N] onto the layer in state units, from its free states [B, N] for the `chosen` images.

        A current goes no further than the box of its unit is wide. Raises: UserError if they are so large on average.
        """
        unit, responses = spec.unit(self.layer), self.responses[chosen]
        real = states / float(unit.one)
        force = self.cost.force(real, responses)
        self.cost.learn(real, responses)
        currents = np.rint(force * (spec.schedule.nudge * self.weight * unit.one))
        most = largest_current(spec, self.layer)
        strength = float(np.sqrt(np.mean(np.square(currents)))) if currents.size else 0.0
        if strength > most:
            fitting = 0.1 * self.weight * most / strength
            raise UserError(
                f"guide_weight {self.weight:g}: its force on {self.layer} is {strength / unit.one:.2f} on average, "
                f"beyond the box of its units ({most / unit.one:.2f}); give at most {fitting:.1g}"
            )
        payloads: Int32 = np.clip(currents, -most, most).astype(np.int32)
        return payloads


def guide_for(dataset: Dataset, config: TrainConfig, spec: Any, used: Int64) -> Guide | None:
    """The guide of a training on images `used` of a data set; None where nothing guides it."""
    layer, loss, weight, control = config.guide_layer, config.guide_loss, config.guide_weight, config.guide_control
    if dataset.recordings is None or control == NO_CONTROL or layer is None or loss is None or weight is None:
        return None
    responses = normalised(controlled(dataset.recordings, control or RECORDED, config.seed))[used]
    place = HEAD if loss == "head" else layer
    return Guide(responses, place, cost_of(loss, spec.population(place).size, responses.shape[1]), weight)


def guided_network(spec: NetworkSpec, dataset: Dataset, config: TrainConfig) -> NetworkSpec:
    """The network with a head for the recordings, where it is that which guides."""
    layer, responses = config.guide_layer, dataset.recordings
    if responses is None or layer is None or config.guide_loss != "head" or config.guide_control == NO_CONTROL:
        return spec
    return with_head(spec, layer, responses.shape[1], config.seed)


def with_recordings(dataset: Dataset, config: TrainConfig) -> tuple[Dataset, TrainConfig]:
    """The data set with the recordings that guide a training, and the configuration that names their content.

    Raises: UserError if the file is none, or was recorded from other images.
    """
    if not config.guide:
        return dataset, config
    recordings = load_recordings(config.guide)
    responses = recordings.means_for(dataset.x_train, dataset.name)
    n_known, n_missing = int(recorded(responses).sum()), int(np.isnan(responses[recorded(responses)]).sum())
    control = "" if config.guide_control == RECORDED else f"; control: {config.guide_control}"
    note = (
        f"guided by {responses.shape[1]} neurons recorded for {n_known} of {len(responses)} training images"
        f"{f', {n_missing} responses missing' if n_missing else ''}{control}"
    )
    guided = replace(dataset, recordings=responses, notes=(*dataset.notes, note))
    return guided, replace(config, guide_sha256=recordings.sha256)


class GuidedTrainer(Trainer):
    """A training whose every batch is settled first, for the force of its recordings."""

    chunk_images = 1  # a chunk is a batch: the force is of the weights that it learns from

    def __init__(self, *arguments: Any, guide: Guide) -> None:
        super().__init__(*arguments)
        self.guide = guide

    def _taught(self, chosen: Int64, targets: Int32, rates: Rates, first: int) -> LearningOutcome:
        payloads, layer = self._presented(chosen), self.guide.layer
        states = self.session.run(payloads, keep_states=True).states
        assert states is not None  # kept
        currents = self.guide.currents(self._network, states[layer][:, 0], chosen)
        return self.session.learn(
            payloads, targets, rates, seed=self.seed, first_image=first, currents={layer: currents}
        )

    def full_weights(self) -> Mapping[str, Integers]:
        """See `Trainer`; with what the cost has learned."""
        learned = {GUIDE + name: values for name, values in self.guide.cost.arrays().items()}
        return {**super().full_weights(), **learned}

    def restore(self, full: Mapping[str, Integers]) -> None:
        """See `Trainer`."""
        own = {name.removeprefix(GUIDE): v.astype(np.int64) for name, v in full.items() if name.startswith(GUIDE)}
        self.guide.cost.restore(own)
        super().restore({name: values for name, values in full.items() if not name.startswith(GUIDE)})
