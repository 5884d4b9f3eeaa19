"""Trainings in one call, for notebooks and commands: data as people have it, options by name, bars while it lasts."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from neuro.data.options import DEFAULTS, DataOptions
from neuro.data.sets import Dataset
from neuro.front_ends.named import is_fixed
from sim.coding.training import CoderResult, train_lca
from sim.face.data import dataset_of, keep_arrays
from sim.face.run import Run
from sim.screens.training import CoderScreen, TrainScreen, shown
from sim.training.equilibrium import train_ep
from sim.training.front_end import Front, load_front_end
from sim.training.loop import CHECKPOINT_EVERY_S
from sim.training.parallel.data_parallel import joined, own_folder
from sim.training.results import TrainResult

if TYPE_CHECKING:
    from sim.coding.config import LcaConfig
    from sim.face.data import Data
    from sim.training.config import TrainConfig

Result = TypeVar("Result", TrainResult, CoderResult)


@dataclass(frozen=True)
class Trained(Generic[Result]):
    """What came of a training. leads: whether this process speaks for all that torchrun started."""

    result: Result
    dataset: Dataset
    leads: bool = True


def train_network(
    data: Data,
    config: TrainConfig,
    out: str | Path | None,
    *,
    options: DataOptions = DEFAULTS,
    front_end: str | Path | Run | None = None,
    backend: str = "",
    device: str = "cpu",
    resume: bool = False,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
    progress: bool = True,
) -> Trained[TrainResult]:
    """Train an EP network, in memory if `out` is None; all processes that torchrun started share every batch."""
    dataset, folder = _placed(data, config.seed, out, options)
    if isinstance(front_end, str) and is_fixed(front_end):
        config, front_end = replace(config, fixed_front=front_end), None
    front = _front(front_end, dataset)
    with joined(backend, device) as compute, contextlib.ExitStack() as stack:
        own = None if folder is None else stack.enter_context(own_folder(compute, folder))
        stack.enter_context(shown(progress and compute.leads))
        screen = stack.enter_context(TrainScreen())
        result = train_ep(
            dataset, config, own, screen, front, resume=resume, checkpoint_every_s=checkpoint_every_s, compute=compute
        )
    return Trained(result, dataset, compute.leads)


def train_sparse_coder(
    data: Data,
    config: LcaConfig,
    out: str | Path | None,
    *,
    options: DataOptions = DEFAULTS,
    front_end: str | Path | Run | None = None,
    resume: bool = False,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
    progress: bool = True,
) -> Trained[CoderResult]:
    """Learn a sparse coder, in memory if `out` is None."""
    dataset, folder = _placed(data, config.seed, out, options)
    front = _front(front_end, dataset)
    if front is not None:
        config = replace(config, front_end=front.sha256)
    with shown(progress), CoderScreen() as screen:
        result = train_lca(dataset, config, folder, screen, front, resume=resume, checkpoint_every_s=checkpoint_every_s)
    return Trained(result, dataset)


def _placed(data: Data, seed: int, out: str | Path | None, options: DataOptions) -> tuple[Dataset, Path | None]:
    dataset, folder = dataset_of(data, seed, options), None if out is None else Path(out)
    return (dataset if folder is None else keep_arrays(dataset, folder)), folder


def _front(front_end: str | Path | Run | None, dataset: Dataset) -> Front | None:
    if front_end is None:
        return None
    return load_front_end(front_end.on_disk() if isinstance(front_end, Run) else Path(front_end), dataset)
