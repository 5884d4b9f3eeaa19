"""Trainings in one call, for notebooks and commands: data as people have it, options by name, bars while it lasts."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from neuro.artifact.run_folder import Artifact
from neuro.base.errors import UserError
from neuro.data.sets import Dataset
from sim.coding.recipe import LcaConfig
from sim.coding.training import train_lca
from sim.face.data import dataset_of, keep_arrays
from sim.face.run import Run
from sim.screens.training import CoderScreen, TrainScreen, shown
from sim.training.config import TrainConfig
from sim.training.equilibrium import CHECKPOINT_EVERY_S, train_ep
from sim.training.front_end import FrontEnd, load_front_end

if TYPE_CHECKING:
    from sim.face.data import Data

Config = TypeVar("Config", TrainConfig, LcaConfig)
Trained = tuple[Artifact, Path | None, Dataset]


def configured(kind: type[Config], options: dict[str, Any]) -> Config:
    """A configuration of `options`; sizes may be a number or a list. Raises: UserError naming an unknown option."""
    known = [field.name for field in fields(kind)]
    for name in options:
        if name not in known:
            close = difflib.get_close_matches(name, known)
            raise UserError(f"option {name!r} is unknown; {_meant(close)}choose among {', '.join(known)}")
    if "hidden" in options:
        sizes = options["hidden"]
        options = {**options, "hidden": tuple(sizes) if isinstance(sizes, Sequence) else (sizes,)}
    return kind(**options)


def _meant(close: list[str]) -> str:
    return f"did you mean {' or '.join(close)}? " if close else ""


def train_network(
    data: Data, out: str | Path | None, front_end: str | Path | Run | None, backend: str, device: str, resume: bool,
    progress: bool, **options: Any,
) -> Trained:  # fmt: skip
    """Train an EP network as `settle train ep` does; the artifact, its folder (None: in memory), the data."""
    if options.get("family") == "stock":
        options.setdefault("rule", "R5")
    config = configured(TrainConfig, options)
    dataset, folder = _data(data, config.seed, out)
    artifact, _ = train_ep_run(
        dataset, config, folder, _front(front_end, dataset), backend, device, resume, progress=progress
    )
    return artifact, folder, dataset


def train_ep_run(
    dataset: Dataset, config: TrainConfig, folder: Path | None, front: FrontEnd | None, backend: str, device: str,
    resume: bool, checkpoint_every_s: float = CHECKPOINT_EVERY_S, progress: bool = True,
) -> tuple[Artifact, bool]:  # fmt: skip
    """Train on a backend and device, with all processes that torchrun started; and whether this one speaks for all."""
    from sim.training.parallel.data_parallel import joined, own_folder

    with joined(backend, device) as compute, contextlib.ExitStack() as stack:
        own = None if folder is None else stack.enter_context(own_folder(compute, folder))
        stack.enter_context(shown(progress and compute.leads))
        screen = stack.enter_context(TrainScreen())
        result = train_ep(
            dataset, config, own, screen, front, resume=resume, checkpoint_every_s=checkpoint_every_s, compute=compute
        )
        return result.artifact, compute.leads


def train_sparse_coder(
    data: Data, out: str | Path | None, front_end: str | Path | Run | None, resume: bool, progress: bool,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S, **options: Any,
) -> Trained:  # fmt: skip
    """Learn a sparse coder as `settle train lca` does; the artifact, its folder (None: in memory), the data."""
    config = configured(LcaConfig, options)
    dataset, folder = _data(data, config.seed, out)
    front = _front(front_end, dataset)
    if front is not None:
        config = replace(config, front_end=front.sha256)
    with shown(progress), CoderScreen() as screen:
        result = train_lca(dataset, config, folder, screen, front, resume=resume, checkpoint_every_s=checkpoint_every_s)
    return result.artifact, folder, dataset


def _data(data: Data, seed: int, out: str | Path | None) -> tuple[Dataset, Path | None]:
    dataset, folder = dataset_of(data, seed), None if out is None else Path(out)
    return (dataset if folder is None else keep_arrays(dataset, folder)), folder


def _front(front_end: str | Path | Run | None, dataset: Dataset) -> FrontEnd | None:
    if front_end is None:
        return None
    folder = front_end.on_disk() if isinstance(front_end, Run) else Path(front_end)
    return load_front_end(folder, dataset)
