"""Workers that torchrun starts share every batch: real processes, real exchange, really killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from neuro.artifact.run_folder import load_artifact
from sim.backends.protocol import get_backend
from sim.contract.sigma_delta import random_images, random_rates, random_spec
from sim.training.compute import NATIVE, Compute
from sim.training.parallel.data_parallel import joined, own_folder

PATIENCE_S = 150.0
pytestmark = pytest.mark.timeout(240)
Command = Callable[..., Any]

SHARING = """
import sys
import numpy as np
import torch
from sim.contract.sigma_delta import random_images, random_rates, random_spec
from sim.training.parallel.data_parallel import joined
torch.set_num_threads(1)
with joined("torch", "cpu") as compute:
    for seed in map(int, sys.argv[2:]):
        spec = random_spec(seed)
        with compute.open(spec, 1, 5) as session:
            session.learn(*random_images(spec, seed, 13), random_rates(spec, seed), seed=seed, first_image=0)
            np.savez(f"{sys.argv[1]}-{seed}-{compute.workers.rank}.npz", **session.full_weights())
"""


def torchrun(size: int, *words: object, restarts: int = 0) -> list[str]:
    """Not --standalone: with it, torch 2.3 cannot restart workers (pytorch/pytorch issue 123678)."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    launcher = [sys.executable, "-m", "torch.distributed.run", f"--master-port={port}", f"--nproc-per-node={size}"]
    return [*launcher, f"--max-restarts={restarts}", *map(str, words)]


@pytest.fixture
def environment(process_environment: dict[str, str]) -> dict[str, str]:
    return {**process_environment, "OMP_NUM_THREADS": "1"}


def test_three_processes_end_with_the_weights_of_one(environment: dict[str, str], tmp_path: Path) -> None:
    script, seeds = tmp_path / "sharing.py", [0, 1, 2]
    script.write_text(SHARING)
    done = subprocess.run(
        torchrun(3, script, tmp_path / "w", *seeds), env=environment, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stderr
    for seed in seeds:
        spec = random_spec(seed)
        with get_backend("reference").open(spec, batch_size=5) as session:
            session.learn(*random_images(spec, seed, 13), random_rates(spec, seed), seed=seed, first_image=0)
            wanted = session.full_weights()
        assert wanted
        for rank in range(3):
            with np.load(tmp_path / f"w-{seed}-{rank}.npz") as found:
                for name, full in wanted.items():
                    np.testing.assert_array_equal(found[name], full)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux")
def test_a_worker_is_killed_and_the_run_ends_as_that_of_one_process(
    environment: dict[str, str], blobs: Callable[..., Any], tmp_path: Path, command: Command
) -> None:
    """Slow: kills of trainings in one process are held by shorter tests, and so is what three processes learn."""
    np.savez(tmp_path / "blobs.npz", **blobs((5, 5), 3, 300, 60, noise=0.5))
    words = ["train", "ep", "--data", tmp_path / "blobs.npz", "--hidden", 16, "--epochs", 4, "--batch-size", 24,
             "--learning-rate", 0.7, "--output-share", 0.125, "--no-refit", "--json"]  # fmt: skip
    folder = tmp_path / "shared"
    words_shared = [*words, "--out", folder, "--backend", "torch", "--resume", "--checkpoint-every-s", 0]
    agent = subprocess.Popen(
        torchrun(2, "-m", "settle", *words_shared, restarts=1), env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not (folder / "log.jsonl").is_file():  # an epoch is over
            assert agent.poll() is None, agent.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.kill(children(agent.pid)[-1], signal.SIGKILL)
        assert not (folder / "manifest.json").exists()
        out, err = agent.communicate(timeout=PATIENCE_S)
    finally:
        agent.kill()
    assert agent.returncode == 0, err
    alone = command(*words, "--out", tmp_path / "alone").json
    assert (folder / "weights.npz").read_bytes() == (tmp_path / "alone" / "weights.npz").read_bytes()
    assert json.loads(out.splitlines()[-1])["test_accuracy"] == alone["test_accuracy"]
    assert load_artifact(folder).manifest["engine"] == {"backend": "torch", "device": "cpu", "workers": 2}
    assert not (folder / "checkpoint.npz").exists()


def test_events_and_torch_train_to_the_same_weights(command: Command, finished: Path, tmp_path: Path) -> None:
    data = load_artifact(finished).manifest["data"]["source"]
    words = ["train", "ep", "--data", data, "--hidden", 8, "--epochs", 2, "--batch-size", 30,
             "--learning-rate", 1.4, "--output-share", 0.125, "--json"]  # fmt: skip
    for backend in ("events", "torch"):
        command(*words, "--backend", backend, "--out", tmp_path / backend)
    weights = [(tmp_path / backend / "weights.npz").read_bytes() for backend in ("events", "torch")]
    assert weights[0] == weights[1]
    answer = command("evaluate", tmp_path / "torch", "--backend", "torch", "--check", "events", "--json")
    assert answer.json["differences"] == {"spikes": 0, "states": 0, "predictions": 0}


def test_torchrun_needs_backend_torch(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    command("train", "ep", "--data", "digits").refused("torchrun", "--backend torch")
    command("train", "ep", "--seeds", 2).refused("--seeds", "one by one")


def test_a_lost_worker_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from neuro.base.errors import UserError
    from sim.training.parallel.data_parallel import TorchrunWorkers

    def lost(*_: object, **__: object) -> None:
        raise RuntimeError("Connection closed by peer\nmore")

    monkeypatch.setattr("torch.distributed.get_rank", lambda: 1)
    monkeypatch.setattr("torch.distributed.get_world_size", lambda: 2)
    monkeypatch.setattr("torch.distributed.all_gather", lost)
    with pytest.raises(UserError, match=r"worker 1: lost the other workers \(Connection closed by peer\)"):
        TorchrunWorkers(torch.device("cpu")).gather(torch.zeros(3))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["train", "ep", "--device", "cuda"], ["--device cuda", "--backend torch"]),
        (["train", "ep", "--backend", "torch", "--device", "tpu"], ["device 'tpu'", "choose cpu, cuda"]),
        (["train", "ep", "--backend", "torch", "--device", "cuda:99"], ["device cuda:99", "CUDA devices here"]),
        (["train", "ep", "--backend", "torch", "--family", "stock"], ["--backend torch", "no stock networks"]),
        (["train", "ep", "--backend", "torch", "--images", "3"], ["--images"]),
        (["train", "ep", "--backend", "reference"], ["--backend reference"]),
        (["train", "ep", "--seeds", "0"], ["seeds 0 outside"]),
    ],
)
def test_what_cannot_be_is_refused(command: Command, words: list[str], told: list[str]) -> None:
    command(*words).refused(*told)


def test_evaluation_refuses_devices_it_has_not(command: Command, finished: Path) -> None:
    command("evaluate", finished, "--device", "cuda").refused("--backend torch")
    command("evaluate", finished, "--backend", "torch", "--device", "cuda:99").refused("CUDA devices here")


def test_alone_a_process_keeps_its_folder(tmp_path: Path) -> None:
    with joined("", "cpu") as compute, own_folder(compute, tmp_path) as folder:
        assert folder == tmp_path
        assert compute == Compute() == NATIVE
        assert compute.leads
