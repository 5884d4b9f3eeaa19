"""Who is compared: ways to classify the same images, and to learn one more, each on a device.

A contestant takes images from host memory and leaves classes there. `CPU_AND_GPU` lists who makes them: another row of
the table is another function there.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from benchmarks.bench.perceptron import FloatPerceptron, Int8Perceptron, train_perceptron
from neuro.artifact import Artifact
from neuro.data import Dataset, Images, Split
from neuro.errors import UserError
from neuro.quantities import NotMeasurable
from sim.backends.base import get_backend, native_backend, one_hot_targets
from sim.experiment import TrainConfig, make_trainer
from sim.robustness.baselines import real_images
from sim.robustness.twin import make_twin
from sim.trainer import Choices

CPU, CUDA, LOIHI = "cpu", "cuda", "loihi2"
DEVICES = (CPU, CUDA, LOIHI)
LEARNED = 512  # training images whose learning is timed
Infer = Callable[[Images], npt.NDArray[np.integer[Any]]]
Learn = Callable[[Images, npt.NDArray[np.integer[Any]]], object]


@dataclass(frozen=True, eq=False)
class Contestant:
    """Something to compare. learn: makes the weights take in these images, or why it cannot; note: what it is."""

    name: str
    device: str
    note: str
    infer: Infer
    learn: Learn | NotMeasurable


@dataclass(frozen=True)
class Missing:
    """Something that would be compared, were it there."""

    name: str
    device: str
    reason: str


@dataclass(frozen=True, eq=False)
class Job:
    """What is benchmarked: a finished run of a classifier, with its data. hidden: sizes of its hidden layers."""

    artifact: Artifact
    dataset: Dataset
    threads: int | None = None
    trained: dict[str, Any] = field(default_factory=dict)

    @property
    def spec(self) -> Any:
        """The network."""
        return self.artifact.spec

    @property
    def seed(self) -> int:
        """Seed of the run, and of its competitors."""
        return int(self.artifact.manifest["seed"])

    @property
    def hidden(self) -> tuple[int, ...]:
        """Sizes of the hidden layers."""
        return tuple(self.artifact.manifest["config"]["hidden"])

    @property
    def config(self) -> TrainConfig:
        """How the run was trained."""
        return TrainConfig(**{**self.artifact.manifest["config"], "hidden": self.hidden, "threads": self.threads})

    @cached_property
    def perceptron(self) -> nn.Sequential:
        """A trained perceptron of the same shape; do not change it."""
        model, validation = train_perceptron(self.dataset, self.hidden, self.seed)
        self.trained["perceptron, validation accuracy"] = validation.value
        return model


Maker = Callable[[Job], Iterator[Contestant | Missing]]


def settling(job: Job) -> Iterator[Contestant | Missing]:
    """The run itself, in integers, on the backend that trained it."""
    name, spec = native_backend(job.spec), job.spec
    session = get_backend(name).open(spec, threads=job.threads)

    def infer(images: Images) -> npt.NDArray[np.integer[Any]]:
        return session.run(spec.encoder.encode(images)).predictions

    said = "local rule, image after image, whatever the size of a call"
    yield Contestant(f"settle, {name}", CPU, f"the network itself in integers, compiled; learns by its {said}",
                     infer, learner(job))  # fmt: skip


def learner(job: Job) -> Learn | NotMeasurable:
    """Return how the run learns further images on its own backend, at its last learning rate, or why it cannot."""
    config, chosen = job.config, job.artifact.manifest["chosen"]
    if config.front_end:
        return NotMeasurable("learning behind a front end is not timed; time the network without one")
    choices = Choices(**{name: chosen[name] for name in Choices.__dataclass_fields__ if name in chosen})
    few = Split(np.arange(min(LEARNED, len(job.dataset.y_train))), np.zeros(0, dtype=np.int64))
    try:
        trainer = make_trainer(job.dataset, config, choices, few, 2, spec=job.spec)
        rates, session, spec = trainer.rates(1), trainer.session, job.spec  # of the last epoch
        seen = {"images": 0}

        def learn(images: Images, labels: npt.NDArray[np.integer[Any]]) -> None:
            targets = one_hot_targets(spec, labels)
            session.learn(spec.encoder.encode(images), targets, rates, seed=job.seed, first_image=seen["images"])
            seen["images"] += len(images)

        learn(job.dataset.x_train[:2], job.dataset.y_train[:2])
    except UserError as error:
        return NotMeasurable(str(error))
    return learn


def twins(job: Job) -> Iterator[Contestant | Missing]:
    """The same integers in torch, batched, on the CPU and on the GPU."""
    for device in (CPU, CUDA):
        if device == CUDA and not torch.cuda.is_available():
            yield Missing("settle, torch", device, NO_CUDA)
            continue
        twin = make_twin(job.spec, device=device)

        def infer(images: Images, twin: Any = twin) -> npt.NDArray[np.integer[Any]]:
            return np.asarray(twin.predict(real_images(images)).cpu().numpy())

        note = "the same integers in torch operations, batched; eager, no CUDA graphs"
        yield Contestant("settle, torch", device, note, infer, NotMeasurable("the torch form only infers"))


NO_CUDA = "not run: torch finds no CUDA device here"


def perceptrons(job: Job) -> Iterator[Contestant | Missing]:
    """A perceptron of the same shape, in floats, on the CPU and on the GPU."""
    for device in (CPU, CUDA):
        if device == CUDA and not torch.cuda.is_available():
            yield Missing("backprop, float32", device, NO_CUDA)
            continue
        inferring, learning = (FloatPerceptron(_copy(job.perceptron), torch.device(device)) for _ in range(2))
        note = "ReLU perceptron of the same shape in torch, eager, no CUDA graphs; learns by a plain gradient step"
        yield Contestant("backprop, float32", device, note, inferring.infer, learning.learn)


def _copy(model: nn.Sequential) -> nn.Sequential:
    return copy.deepcopy(model)


def int8_perceptron(job: Job) -> Iterator[Contestant | Missing]:
    """The perceptron in 8-bit integers: the fair competitor of an integer network, on the CPU."""
    try:
        quantised = Int8Perceptron(_copy(job.perceptron), job.dataset.x_train)
    except UserError as error:
        yield Missing("backprop, int8", CPU, f"not measurable: {error}")
        return
    engine = torch.backends.quantized.engine
    note = f"the same perceptron, quantised after training, integer kernels of torch ({engine})"
    learns = NotMeasurable("quantised after training: learning costs what it costs in float32")
    yield Contestant("backprop, int8", CPU, note, quantised.infer, learns)


CPU_AND_GPU: tuple[Maker, ...] = (settling, twins, perceptrons, int8_perceptron)


def contestants(job: Job, devices: tuple[str, ...]) -> Iterator[Contestant | Missing]:
    """Yield everybody on these devices."""
    for make in CPU_AND_GPU:
        yield from (found for found in make(job) if found.device in devices)
