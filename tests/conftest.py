from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings
from shared_coders import SMALL_CODER, SMALL_KERNELS
from shared_export import even
from shared_lava_builds import lava_builds as lava_builds  # built once a session
from shared_watchers import Silent

import settle
from neuro.artifact.run_folder import Artifact, load_artifact, save_artifact
from neuro.base.metrics import accuracy
from neuro.data.sets import Dataset, load_dataset
from neuro.front_ends.pixels import PixelEncoder
from neuro.spec.sigma_delta import NetworkSpec
from neuro.stock.feed_forward import FeedForwardNetwork, feed_forward_graph
from neuro.stock.processes import LIF
from sim.backends.jit import CACHE_FOLDER
from sim.coding.stock import FORMS, stock_coder_of
from sim.coding.training import train_lca
from sim.training.config import TrainConfig
from sim.training.equilibrium import TrainResult, infer, train_ep
from sim.training.front_end import load_front_end
from sim.training.recipe import compile_kernels

settings.register_profile("any machine", deadline=None)  # a slow machine fails no law
settings.load_profile("any machine")
torch.set_num_threads(1)  # products are small here: threads would only wait for each other
ROOT = Path(__file__).parents[1]
Arrays = dict[str, np.ndarray]
FIRST_OF = {"gw0": "sigma-delta", "gw1": "stock"}  # family whose kernels a worker compiles first, for the others, too
TIMED = ("images_per_s", "train_cpu_s", "manifest_sha256")  # the last is a hash of the others too


def _blobs(
    shape: tuple[int, ...] = (4, 4), n_classes: int = 3, n: int = 300, n_test: int = 90, noise: float = 0.15
) -> Arrays:
    """Arrays of a data file: noisy copies of one random image per class, labels in turn."""
    generator = np.random.default_rng([n_classes, *shape])
    centres = generator.random((n_classes, *shape))
    labels = np.arange(n + n_test) % n_classes
    images = centres[labels] + generator.normal(0.0, noise, (n + n_test, *shape))
    images = np.clip(images, 0.0, 1.0).astype(np.float32)
    return {"x_train": images[:n], "y_train": labels[:n], "x_test": images[n:], "y_test": labels[n:]}


def pytest_sessionstart() -> None:
    """Compile in a worker what else all would compile at once, if nothing is compiled yet."""
    family = FIRST_OF.get(os.environ.get("PYTEST_XDIST_WORKER", ""))
    if family and not any(CACHE_FOLDER.rglob("*.nbi")):
        compile_kernels(Dataset("blobs", **_blobs()), TrainConfig(hidden=(8,), family=family))


@pytest.fixture(scope="session")
def blobs() -> Callable[..., Arrays]:
    """Makes a small, easy data set: blobs(shape, n_classes, n, n_test, noise)."""
    return _blobs


@pytest.fixture(scope="session")
def blob_data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """300 training and 90 test images of shape (4, 4), three classes, kept in a file named blobs.npz."""
    path = tmp_path_factory.mktemp("data") / "blobs.npz"
    np.savez(path, **_blobs())
    return load_dataset(str(path))


@pytest.fixture(scope="session")
def small_config() -> TrainConfig:
    """Hidden 8, two epochs, rates given: trains on `blob_data` in some milliseconds."""
    return TrainConfig(seed=3, hidden=(8,), epochs=2, learning_rate=1.4, output_share=0.125)


@pytest.fixture(scope="session")
def silent() -> type[Silent]:
    """The class of watchers that show nothing."""
    return Silent


@pytest.fixture(scope="session")
def train() -> Callable[..., TrainResult]:
    """train(dataset, config, folder, watcher=None, **options) -> TrainResult, without a screen."""

    def run(dataset: Dataset, config: TrainConfig, folder: Path, watcher: Any = None, **options: Any) -> TrainResult:
        return train_ep(dataset, config, folder, watcher or Silent(), **options)

    return run


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, blob_data: Dataset, small_config: TrainConfig) -> Path:
    """Folder of a finished run on `blob_data`. Not to be written to: copy it."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    train_ep(blob_data, replace(small_config, epochs=4), folder, Silent())
    return folder


@pytest.fixture(scope="session")
def stock_config() -> TrainConfig:
    """Hidden 8, two epochs, family stock, rule R5: trains on `blob_data` in a second."""
    return TrainConfig(seed=3, hidden=(8,), epochs=2, family="stock", rule="R5", learning_rate=0.01)


@pytest.fixture(scope="session")
def finished_stock(tmp_path_factory: pytest.TempPathFactory, blob_data: Dataset, stock_config: TrainConfig) -> Path:
    """Folder of a finished run of the stock family on `blob_data`. Not to be written to: copy it."""
    folder = tmp_path_factory.mktemp("runs") / "stock"
    train_ep(blob_data, stock_config, folder, Silent())
    return folder


@pytest.fixture(scope="session")
def finished_graded(tmp_path_factory: pytest.TempPathFactory, blob_data: Dataset, small_config: TrainConfig) -> Path:
    """Folder of a finished run of graded processes on `blob_data`. Not to be written to: copy it."""
    folder = tmp_path_factory.mktemp("runs") / "graded"
    train_ep(blob_data, replace(small_config, epochs=3, family="stock", rule="graded"), folder, Silent())
    return folder


@pytest.fixture(scope="session")
def finished_baseline(tmp_path_factory: pytest.TempPathFactory, blob_data: Dataset, finished: Path) -> Path:
    """Folder of a feed-forward run, as `settle train slayer` leaves it, of random weights. Not to be written to."""
    folder, generator = tmp_path_factory.mktemp("runs") / "baseline", np.random.default_rng(5)
    graph = feed_forward_graph([even(generator, 17, 8), even(generator, 8, 3)], LIF(1023, 123, 80))
    network = FeedForwardNetwork(graph, 16, PixelEncoder(), "slayer", 2, (4, 4))
    record = infer(network, blob_data.x_test)
    results = {
        "test": asdict(accuracy(record.predictions, blob_data.y_test)),
        "spikes_per_inference": record.spikes_per_inference(network),
        "images_per_s": 100.0,
    }
    chosen = {"epochs": 4, "learning_rate": 0.003}
    manifest = {**load_artifact(finished).manifest, "kind": "slayer", "chosen": chosen, "results": results}
    save_artifact(folder, Artifact(network, manifest))
    return folder


@pytest.fixture(scope="session")
def coders(tmp_path_factory: pytest.TempPathFactory, blob_data: Dataset) -> dict[str, Path]:
    """Folders of finished runs on `blob_data`, not to be written to: copy them. By what they are:

    "dense" and "kernels", coders; "spiking" and "graded", stock ones; "second", a coder behind the kernels; "stack",
    "three": EP behind dense, second.
    """
    folder, found = tmp_path_factory.mktemp("coders"), dict[str, Path]()
    for name, front, config in (
        ("dense", "", SMALL_CODER),
        ("kernels", "", SMALL_KERNELS),
        ("spiking", "", replace(SMALL_CODER, family="stock", form="spiking")),
        ("graded", "", replace(SMALL_CODER, family="stock", form="graded")),
        ("second", "kernels", replace(SMALL_KERNELS, epochs=20)),
        ("stack", "dense", None),
        ("three", "second", None),
    ):
        before = load_front_end(found[front], blob_data) if front else None
        if config is None:
            ep = TrainConfig(seed=3, hidden=(8,), epochs=4, learning_rate=1.4, output_share=0.125, refit=False)
            train_ep(blob_data, ep, folder / name, Silent(), before)
        else:
            config = replace(config, front_end=before.sha256 if before else "")
            train_lca(blob_data, config, folder / name, Silent(), before)
        found[name] = folder / name
    return found


@pytest.fixture(scope="session")
def chains(tmp_path_factory: pytest.TempPathFactory, coders: dict[str, Path], blob_data: Dataset) -> dict[str, Path]:
    """Folders of finished runs on `blob_data`, not to be written to: copy them.

    "spiking" and "graded": coders of stock processes; "behind spiking", "behind graded": EP behind them.
    """
    folder, found = tmp_path_factory.mktemp("chains"), dict[str, Path]()
    learned = load_artifact(coders["dense"])
    assert isinstance(learned.spec, NetworkSpec)
    config = TrainConfig(seed=3, hidden=(8,), epochs=4, learning_rate=1.4, output_share=0.125, refit=False)
    for form in FORMS:
        found[form], found[f"behind {form}"] = folder / form, folder / f"behind-{form}"
        save_artifact(found[form], Artifact(stock_coder_of(form, learned.spec, 2.0), learned.manifest))
        train_ep(blob_data, config, found[f"behind {form}"], Silent(), load_front_end(found[form], blob_data))
    return found


def _outcome(folder: Path) -> dict[str, Any]:
    """All that a run leaves, without what was measured by a clock."""

    def untimed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: untimed(part) for key, part in value.items() if key not in TIMED}
        return [untimed(part) for part in value] if isinstance(value, list) else value

    return {
        "files": sorted(path.name for path in folder.iterdir()),
        "weights": (folder / "weights.npz").read_bytes(),
        "spec": (folder / "spec.json").read_bytes(),
        "manifest": untimed(json.loads((folder / "manifest.json").read_text())),
        "log": [untimed(json.loads(line)) for line in (folder / "log.jsonl").read_text().splitlines()],
    }


@pytest.fixture(scope="session")
def outcome() -> Callable[[Path], dict[str, Any]]:
    """outcome(folder): all that a finished run leaves, without timings; equal for equal runs."""
    return _outcome


def _edit_manifest(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    artifact = load_artifact(folder)
    change(artifact.manifest)
    save_artifact(folder, artifact)


@pytest.fixture(scope="session")
def edit_manifest() -> Callable[..., None]:
    """edit_manifest(folder, change): save a run again with a manifest that was changed, all hashes right."""
    return _edit_manifest


@dataclass(frozen=True)
class Answer:
    """What a command printed and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on standard output."""
        (line,) = self.out.splitlines()
        content = json.loads(line)
        assert isinstance(content, dict)
        return content

    @property
    def mistake(self) -> str:
        """The one line by which a user's mistake is told."""
        lines = [line for line in self.err.splitlines() if line.startswith("settle: ")]
        assert len(lines) == 1, self.err
        assert self.err.splitlines()[-1] == lines[0]
        assert "Traceback" not in self.err
        assert re.fullmatch(r"settle: \S.*", lines[0])
        return lines[0]

    def refused(self, *words: str) -> None:
        """A mistake of the user's: exit code 2, one line on standard error that holds the words, nothing else."""
        assert self.code == 2
        assert self.out == ""
        for word in words:
            assert word in self.mistake
        assert self.err.strip().splitlines() == [self.mistake]


Command = Callable[..., Answer]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """command(*words): the command line in this process, in an empty folder."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")

    def run(*words: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["settle", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            settle.main()
        return Answer(int(ended.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def process_environment() -> dict[str, str]:
    """Environment in which `python -m settle` finds this source tree."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}
