"""Who is compared: ways to classify the same images, and to learn one more, each on a device.

A contestant takes images from host memory and leaves classes there. `CPU_AND_GPU` lists who makes them: another row of
the table is another function there.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.bench.config import CPU, CUDA
from benchmarks.bench.effort import Effort, in_products, of_products
from benchmarks.bench.job import SLAYER, Job
from benchmarks.bench.perceptron import FloatPerceptron, Int8Perceptron
from benchmarks.bench.slayer import learner_of, learning_note
from neuro.base.arrays import Images, Integers
from neuro.base.errors import UserError
from neuro.base.quantities import NotMeasurable
from neuro.data.sets import Split
from sim.backends.protocol import REGISTRY, get_backend, one_hot_targets
from sim.backends.session import AnySession
from sim.robustness.defences.baselines import real_images
from sim.training.recipe import make_trainer
from sim.training.trainer import Choices
from sim.twins.make import make_twin

LEARNED = 512  # training images whose learning is timed
Infer = Callable[[Images], Integers]
Learn = Callable[[Images, Integers], object]


@dataclass(frozen=True, eq=False)
class Contestant:
    """Something to compare. learn: makes the weights take in these images, or why it cannot; note: what it is."""

    name: str
    device: str
    note: str
    infer: Infer
    learn: Learn | NotMeasurable
    effort: Effort


@dataclass(frozen=True)
class Missing:
    """Something that would be compared, were it there."""

    name: str
    device: str
    reason: str


Maker = Callable[[Job], Iterator[Contestant | Missing]]


def settling(job: Job) -> Iterator[Contestant | Missing]:
    """The run itself, in integers, on the backend that trained it."""
    session = get_backend(job.spec.native_backend).open(job.spec, threads=job.threads)
    learn, note = (taught if job.by_slayer else local_learning)(job)
    yield Contestant(f"{job.title}, {job.spec.native_backend}", CPU, note, infer_with(job, session), learn, job.effort)


def local_learning(job: Job) -> tuple[Learn | NotMeasurable, str]:
    """The local learning of a run on the backend that trained it, and a note on it."""
    if job.brought:
        return NotMeasurable("trained by another tool"), "a network of another tool in integers, compiled"
    note = "the network itself in integers, compiled; learns by its local rule, image after image"
    rates = learning_rates(job)
    if isinstance(rates, NotMeasurable):
        return rates, note
    learning = get_backend(job.spec.native_backend).open(job.spec, threads=job.threads)
    return learn_with(job, rates, lambda count: learning), note


def taught(job: Job) -> tuple[Learn | NotMeasurable, str]:
    """The gradient steps of lava-dl for a run of SLAYER's, and a note on them."""
    learner = learner_of(job)
    note = f"feed-forward CUBA neurons in integers, compiled; {learning_note(job)}; of learning, {BATCH_LEARNS}"
    return learner if isinstance(learner, NotMeasurable) else learner.learn, note


def usual_route(job: Job) -> Iterator[Contestant | Missing]:
    """The feed-forward network that SLAYER trains for the same task, beside a run that it did not train."""
    if job.by_slayer or job.rival is None:
        return
    if isinstance(job.rival, NotMeasurable):
        yield Missing(SLAYER, CPU, job.rival.reason)
    else:
        yield from settling(job.rival)


def infer_with(job: Job, session: AnySession) -> Infer:
    """The call that classifies images in a session: encoding included, classes on the host."""
    return lambda images: session.run(job.spec.encoder.encode(images)).predictions


def learn_with(job: Job, rates: Any, session_of: Callable[[int], AnySession]) -> Learn | NotMeasurable:
    """The call that learns images, or why it cannot; session_of: the session that takes so many at a time."""
    seen = {"images": 0}

    def learn(images: Images, labels: Integers) -> None:
        targets, payloads = one_hot_targets(job.spec, labels), job.spec.encoder.encode(images)
        session_of(len(images)).learn(payloads, targets, rates, seed=job.seed, first_image=seen["images"])
        seen["images"] += len(images)

    try:
        learn(job.dataset.x_train[:2], job.dataset.y_train[:2])
    except UserError as error:
        return NotMeasurable(str(error))
    return learn


def learning_rates(job: Job) -> Any:
    """The rates of the last epoch of the run's training, as its backend takes them, or why there are none."""
    if job.by_slayer:
        return NotMeasurable("trained by backpropagation, not by a local rule")
    config, chosen = job.config, job.manifest["chosen"]
    if config.front_end:
        return NotMeasurable("learning behind a front end is not timed; time the network without one")
    choices = Choices(**{name: chosen[name] for name in Choices.__dataclass_fields__ if name in chosen})
    few = Split(np.arange(min(LEARNED, len(job.dataset.y_train))), np.zeros(0, dtype=np.int64))
    try:
        return make_trainer(job.dataset, config, choices, few, 2, spec=job.spec).rates(1)
    except UserError as error:
        return NotMeasurable(str(error))


def in_torch(job: Job) -> Iterator[Contestant | Missing]:
    """The same integers in torch, batched, on the CPU and on the GPU."""
    for device in (CPU, CUDA):
        if device == CUDA and not has_cuda():
            yield Missing(f"{job.title}, torch", device, NO_CUDA)
        elif "torch" in REGISTRY and job.spec.family in get_backend("torch").capabilities.families:
            yield torch_backend(job, device)
        else:
            yield twin(job, device)


def torch_backend(job: Job, device: str) -> Contestant:
    """The torch backend, which learns, too: all images of a call from the same weights."""

    def opened(batch_size: int) -> Any:
        backend: Any = get_backend("torch")
        return backend.open(job.spec, threads=job.threads, batch_size=batch_size, device=device)

    rates, sessions = learning_rates(job), dict[int, Any]()

    def session_of(count: int) -> Any:
        if count not in sessions:
            sessions[count] = opened(count)
        return sessions[count]

    learn = rates if isinstance(rates, NotMeasurable) else learn_with(job, rates, session_of)
    note = f"the same integers in torch operations, batched; eager, no CUDA graphs; {BATCH_LEARNS}"
    effort = in_products(job.effort)
    return Contestant("settle, torch", device, note, infer_with(job, opened(1)), learn, effort)


def twin(job: Job, device: str) -> Contestant:
    """The differentiable twin, for families that the torch backend does not run; it only infers."""
    made = make_twin(job.spec, device=device)

    def infer(images: Images) -> Integers:
        return np.asarray(made.predict(real_images(images)).cpu().numpy())

    note = "the same integers in torch operations, batched; eager, no CUDA graphs"
    learn = NotMeasurable("the torch form only infers")
    return Contestant(f"{job.title}, torch", device, note, infer, learn, in_products(job.effort))


BATCH_LEARNS = "a call is one update from all its images"


def has_cuda() -> bool:
    """Whether torch computes on a GPU here."""
    return bool(torch.cuda.is_available())


def place_of(device: str) -> torch.device:
    """A device of torch."""
    return torch.device(device)


NO_CUDA = "not run: torch finds no CUDA device here"


def perceptrons(job: Job) -> Iterator[Contestant | Missing]:
    """A perceptron of the same shape, in floats, on the CPU and on the GPU."""
    for device in (CPU, CUDA):
        if device == CUDA and not has_cuda():
            yield Missing("backprop, float32", device, NO_CUDA)
            continue
        inferring, learning = (FloatPerceptron(_copy(job.perceptron), place_of(device)) for _ in range(2))
        note = (
            f"ReLU perceptron of the same shape in torch, eager, no CUDA graphs; plain gradient steps, {BATCH_LEARNS}"
        )
        effort = of_products(job.synapses)
        yield Contestant("backprop, float32", device, note, inferring.infer, learning.learn, effort)


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
    yield Contestant("backprop, int8", CPU, note, quantised.infer, learns, of_products(job.synapses, learns=False))


CPU_AND_GPU: tuple[Maker, ...] = (settling, in_torch, usual_route, perceptrons, int8_perceptron)


def contestants(job: Job, devices: tuple[str, ...]) -> Iterator[Contestant | Missing]:
    """Yield everybody on these devices."""
    for make in CPU_AND_GPU:
        yield from (found for found in make(job) if found.device in devices)
