"""Valid small files of every kind that a user may bring, and what reads each as the commands do.

A victim is a folder in memory. Mutated, it is put right again where only a hash would notice: an attacker can compute
hashes, too, and what lies behind them must hold.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tools.hdf5_mutations import mutated_hdf5
from benchmarks.tools.mutations import mutated_archive, mutated_bytes, mutated_json
from hardware.export.netx import netx_bytes
from hardware.export.netx_file import check_netx
from hardware.face import DeployableRun
from neuro.artifact.nir_graph import nir_bytes, read_nir, to_nir
from neuro.artifact.run_folder import MANIFEST, SELF, SPEC, WEIGHTS, load_artifact, manifest_hash
from neuro.base.arrays import Array
from neuro.base.files import read_bytes, sha256
from neuro.base.options import configured
from neuro.data.sets import Dataset, load_dataset
from neuro.front_ends.pixels import PixelEncoder
from neuro.stock.feed_forward import feed_forward_graph
from neuro.stock.processes import LIF
from sim.backends.snn.nir_reader import NirNetwork
from sim.coding.config import LcaConfig
from sim.coding.training import train_lca
from sim.evaluate import RESULTS, read_results
from sim.face.training import train_network, train_sparse_coder
from sim.reports.beside import DEPLOYMENT, attacks_of, chip_of
from sim.training.checkpoint import CHECKPOINT, STATE
from sim.training.config import TrainConfig
from sim.training.equilibrium import train_ep
from sim.training.watcher import NOBODY, Watcher

Files = dict[str, bytes]
Read = Callable[[Path], object]
RIGHTED = 0.85  # share of cases whose hashes are put right
SHARE_OF_PAGES = 5  # in the runs, a page is made of two of 5 * 7 + 2: it takes seconds
DATA = "data.npz"
EP = TrainConfig(seed=3, hidden=(8,), epochs=3, learning_rate=1.4, output_share=0.125, refit=True)
CODER = LcaConfig(seed=3, atoms=12, epochs=3)


@dataclass(frozen=True)
class Victim:
    """Files of a kind. targets: those that are mutated.  right: puts hashes right.  read: what a command does."""

    kind: str
    name: str
    files: Mapping[str, bytes]
    targets: tuple[str, ...]
    read: Read
    right: Callable[[Files], object] = len

    def mutated(self, draw: random.Random, planted: str) -> Files:
        """The files with one of them changed. planted: where a pickle would leave its canary."""
        files = dict(self.files)
        target = draw.choice(self.targets)
        files[target] = _mutated(target, files[target], draw, planted)
        if draw.random() < RIGHTED:
            with contextlib.suppress(Exception):  # no JSON any more, say: then it is left as it is
                self.right(files)
        return files


def _mutated(name: str, content: bytes, draw: random.Random, planted: str) -> bytes:
    suffix, by_bytes = Path(name).suffix, draw.random() < 0.2
    if by_bytes or suffix not in (".npz", ".json", ".jsonl", ".net", ".nir"):
        return mutated_bytes(content, draw)
    if name == CHECKPOINT and draw.random() < 0.6:
        return _mutated_state(content, draw)
    if suffix == ".npz":
        return mutated_archive(content, draw, planted)
    if suffix in (".net", ".nir"):
        return mutated_hdf5(content, draw)
    lines = content.splitlines() if suffix == ".jsonl" else [content]
    at = draw.randrange(len(lines))
    lines[at] = mutated_json(lines[at], draw)
    return b"\n".join(lines) + b"\n"


def _arrays(content: bytes) -> dict[str, Any]:
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _packed(arrays: Mapping[str, Array]) -> bytes:
    if any(values.dtype.itemsize == 0 for values in arrays.values()):  # as many as one declares, of nothing each
        raise ValueError("numpy would write them one by one")
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _mutated_state(content: bytes, draw: random.Random) -> bytes:
    arrays = _arrays(content)
    arrays[STATE] = np.frombuffer(mutated_json(arrays[STATE].tobytes(), draw), dtype=np.uint8)
    return _packed(arrays)


def right_run(files: Files) -> None:
    """Put the hashes of a run right."""
    manifest = json.loads(files[MANIFEST])
    manifest["files"].update({name: sha256(files[name]) for name in (SPEC, WEIGHTS)})
    manifest[SELF] = manifest_hash(manifest)
    files[MANIFEST] = json.dumps(manifest).encode()


def right_checkpoint(files: Files) -> None:
    """Put the hashes of a checkpoint right."""
    arrays = _arrays(files[CHECKPOINT])
    state = json.loads(arrays.pop(STATE).tobytes())
    state["arrays"] = {name: sha256(np.ascontiguousarray(values).tobytes()) for name, values in arrays.items()}
    files[CHECKPOINT] = _packed({**arrays, STATE: np.frombuffer(json.dumps(state).encode(), dtype=np.uint8)})


def blobs(seed: int = 0) -> dict[str, Array]:
    """Arrays of a small data file: noisy copies of one random image per class."""
    generator = np.random.default_rng(seed)
    centres, labels = generator.random((3, 4, 4)), np.arange(390) % 3
    images = np.clip(centres[labels] + generator.normal(0, 0.15, (390, 4, 4)), 0, 1).astype(np.float32)
    return {"x_train": images[:300], "y_train": labels[:300], "x_test": images[300:], "y_test": labels[300:]}


def read_run(folder: Path) -> object:
    """All that the face tells of a run, and an evaluation of two images."""
    run = DeployableRun.load(folder)
    shown = (repr(run), run.lines(), run.history, run.results, run.spec.n_classes, run.name)
    return shown, run.evaluate(images=2, progress=False).lines()


def read_report(folder: Path) -> object:
    """The page of a run, too."""
    return read_run(folder), DeployableRun.load(folder).report()


def read_data(folder: Path) -> object:
    """A data set, hashed and encoded."""
    dataset = load_dataset(str(folder / DATA))
    return dataset.sha256(), dataset.n_classes, PixelEncoder().encode(dataset.x_test[:5])


def read_beside(folder: Path) -> object:
    """What lies beside a run: evaluations, attacks, its place on a chip."""
    artifact = load_artifact(folder)
    evaluations = [evaluation.lines() for evaluation in read_results(folder, artifact)]
    page = folder / "report.html"
    return evaluations, attacks_of(folder, artifact, page), chip_of(folder, artifact, page)


def read_nir_file(folder: Path) -> object:
    """A NIR graph, opened by its readers and run for three steps."""
    network = NirNetwork(read_nir(read_bytes(folder / "x.nir"), "x.nir"))
    return network.run(np.zeros((1, 3, 7), dtype=np.int32))


def read_netx_file(folder: Path) -> object:
    """The layers of a netx file."""
    return check_netx(read_bytes(folder / "x.net"), "x.net")


def resume(train: Any, dataset: Dataset, config: Any, folder: Path) -> object:
    """Go on with a training from its checkpoint to its end."""
    return train(dataset, config, folder, NOBODY, resume=True).lines()


class _Stops(Watcher):
    """Interrupts a training after so many epochs."""

    def __init__(self, epochs: int) -> None:
        self.left = epochs

    def on_epoch(self, trainer: Any) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def _content(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def _run(name: str, folder: Path, read: Read = read_run) -> Victim:
    return Victim("artifact", name, _content(folder), (MANIFEST, MANIFEST, SPEC, SPEC, WEIGHTS), read, right_run)


def artifacts(folder: Path, dataset: Dataset) -> Iterator[Victim]:
    """Finished runs: EP of both families, coders, a chain."""
    arrays = (dataset.x_train, dataset.y_train, dataset.x_test, dataset.y_test)
    ep: dict[str, Any] = {"hidden": (8,), "epochs": 2, "learning_rate": 1.4, "output_share": 0.125, "seed": 3}
    stock = {**ep, "family": "stock", "rule": "R5", "learning_rate": 0.01, "output_share": None}
    for name, options in (("ep", ep), ("stock", stock), ("graded", {**ep, "family": "stock", "rule": "graded"})):
        train_network(arrays, configured(TrainConfig, options), folder / name, progress=False)
    for form in ("", "spiking", "graded"):
        more = {"family": "stock", "form": form} if form else {}
        train_sparse_coder(arrays, replace(CODER, epochs=2, **more), folder / f"lca{form}", progress=False)
    behind = configured(TrainConfig, {**ep, "refit": False})
    train_network(arrays, behind, folder / "chain", front_end=folder / "lcagraded", progress=False)
    for name in ("ep", "stock", "graded", "lca", "lcaspiking", "lcagraded", "chain") * SHARE_OF_PAGES:
        yield _run(name, folder / name)
    for name in ("ep", "lca"):
        yield _run(f"{name}-report", folder / name, read_report)


def checkpoints(folder: Path, dataset: Dataset) -> Iterator[Victim]:
    """Interrupted trainings: in the fit, in the refit, and of a coder."""
    source = {DATA: _packed(blobs())}

    trainings: tuple[tuple[str, Any, Any, int], ...] = (
        ("fit", train_ep, EP, 1), ("refit", train_ep, EP, 5), ("coder", train_lca, CODER, 2),
    )  # fmt: skip
    for name, train, config, epochs in trainings:
        with contextlib.suppress(KeyboardInterrupt):
            train(dataset, config, folder / name, _Stops(epochs), checkpoint_every_s=0.0)
        files = {CHECKPOINT: (folder / name / CHECKPOINT).read_bytes(), **source}
        yield Victim(
            "checkpoint", name, files, (CHECKPOINT,), partial(resume, train, dataset, config), right_checkpoint
        )


def data_files(folder: Path, dataset: Dataset) -> Iterator[Victim]:
    """Data files of floats, bytes, vectors and colours."""
    plain = blobs()
    grey = {**plain, **{key: (plain[key] * 255).astype(np.uint8) for key in ("x_train", "x_test")}}
    flat = {**plain, **{key: plain[key].reshape(-1, 16) for key in ("x_train", "x_test")}}
    colour = {**plain, **{key: np.repeat(plain[key][..., None], 3, axis=3) for key in ("x_train", "x_test")}}
    for name, arrays in (("float", plain), ("uint8", grey), ("vectors", flat), ("colour", colour)):
        yield Victim("data", name, {DATA: _packed(arrays)}, (DATA,), read_data)


def exports(folder: Path, dataset: Dataset) -> Iterator[Victim]:
    """A netx file and a NIR file of a small classifier."""
    generator = np.random.default_rng(0)
    weights = [(np.rint(generator.normal(20, 25, shape) / 2) * 2).clip(-256, 254).astype(np.int16) for shape in
               ((7, 5), (5, 3))]  # fmt: skip
    network = feed_forward_graph(weights, LIF(1023, 123, 80))
    yield Victim("netx", "netx", {"x.net": netx_bytes(network)}, ("x.net",), read_netx_file)
    graph = to_nir(network, network.populations[-1].name)
    yield Victim("nir", "nir", {"x.nir": nir_bytes(graph)}, ("x.nir",), read_nir_file)


def results(folder: Path, dataset: Dataset) -> Iterator[Victim]:
    """What commands leave beside a run."""
    run = DeployableRun.load(folder / "ep")
    run.evaluate(images=5, check="reference", progress=False)
    run.attack("fgsm", eps=0.1, images=10, workers=1, progress=False)
    run.compile()
    files = _content(folder / "ep")
    for path in sorted((folder / "ep" / "attacks").glob("*/attack.json")):
        files[path.relative_to(folder / "ep").as_posix()] = path.read_bytes()
    targets = (RESULTS, DEPLOYMENT, *(name for name in files if name.startswith("attacks/")))
    yield Victim("results", "results", files, targets, read_beside)


MAKERS = {"artifact": artifacts, "checkpoint": checkpoints, "data": data_files, "netx": exports, "results": results}
KINDS = ("artifact", "checkpoint", "data", "netx", "nir", "results")


def victims(kinds: tuple[str, ...] = KINDS) -> list[Victim]:
    """The victims of those kinds; made once, in some seconds."""
    wanted = {"netx" if kind == "nir" else kind for kind in kinds} | ({"artifact"} if "results" in kinds else set())
    found: list[Victim] = []
    with tempfile.TemporaryDirectory(prefix="settle-fuzz-") as name:
        folder = Path(name)
        np.savez(folder / DATA, **blobs())
        dataset = replace(load_dataset(str(folder / DATA)), source=DATA)
        for kind, make in MAKERS.items():
            if kind in wanted:
                found += make(folder, dataset)
    return [victim for victim in found if victim.kind in kinds]
