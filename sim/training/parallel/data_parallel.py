"""Data-parallel training by the processes that torchrun starts (torch.distributed has its home here).

Every worker runs the same training on the same data; of each batch it simulates its share, and all exchange what their
images do to the weights (`sim.backends.batched.plasticity.Move`). All hold equal weights after every batch, those of
one worker alone. The first worker writes the run; the others work in copies of it that are thrown away. If one dies,
all end; torchrun starts them again (--max-restarts), and --resume goes on from the checkpoint.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed
from torch import Tensor

from neuro.artifact.run_folder import MANIFEST, SPEC, WEIGHTS
from neuro.base.errors import UserError
from neuro.base.scratch import scratch
from sim.backends.batched.backend import device_of
from sim.training.checkpoint import CHECKPOINT
from sim.training.compute import Compute


def started_by_torchrun() -> bool:
    """Whether torchrun (or any launcher of torch's elastic agent) started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


class TorchrunWorkers:
    """One process among its peers; for tensors on `device`."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.rank, self.size = torch.distributed.get_rank(), torch.distributed.get_world_size()
        # Held so that no thread of gloo is the last to drop a tensor: it would wait for Python's lock, which the main
        # thread holds while it ends the group and waits for that thread (a deadlock seen in torch 2.3).
        self._works: deque[Any] = deque(maxlen=2)

    def gather(self, mine: Tensor) -> Tensor:
        """The tensors of all workers by rank, of shape [size, ...]; all give the same shape and type.

        Raises: UserError if another worker has gone.
        """
        sent = mine.to(self.device).contiguous()
        everyone = [torch.empty_like(sent) for _ in range(self.size)]
        try:
            work = torch.distributed.all_gather(everyone, sent, async_op=True)
            self._works.append(work)
            work.wait()
        except RuntimeError as error:
            raise UserError(
                f"worker {self.rank}: lost the other workers ({str(error).splitlines()[0]}); run again with --resume"
            ) from error
        return torch.stack(everyone).to(mine.device)

    def told(self, content: bytes) -> bytes:
        """The bytes that the first worker tells all."""
        sizes = self.gather(torch.tensor([len(content)]))
        message = torch.zeros(int(sizes[0]), dtype=torch.uint8)
        if self.rank == 0:
            message.copy_(torch.from_numpy(np.frombuffer(content, dtype=np.uint8).copy()))
        told: bytes = self.gather(message)[0].numpy().tobytes()
        return told


@contextlib.contextmanager
def joined(backend: str, device: str) -> Iterator[Compute]:
    """Give what to compute with: this process alone, or with those that torchrun started beside it.

    Raises: UserError if torchrun started it for a backend other than torch, or if the device is not there.
    """
    shared = started_by_torchrun()
    if shared and backend != "torch":
        raise UserError("torchrun: its workers share batches on backend torch only; add --backend torch")
    name = f"cuda:{os.environ['LOCAL_RANK']}" if shared and device == "cuda" else device
    chosen = device_of(name)
    if not shared:
        yield Compute(backend, device)
        return
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    torch.distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    workers = TorchrunWorkers(chosen)
    yield Compute(backend, name, workers)
    workers.told(b"done")  # all have come here; small tensors are the last to be held
    torch.distributed.destroy_process_group()  # after an error the process ends, and the group with it


@contextlib.contextmanager
def own_folder(compute: Compute, folder: Path) -> Iterator[Path]:
    """Give the folder in which this worker keeps the run: `folder` to the first, copies to the others."""
    workers = compute.workers
    if workers is None:
        yield folder
        return
    with scratch("worker") as copies:
        for name in (SPEC, WEIGHTS, MANIFEST, CHECKPOINT):
            path = folder / name
            there = workers.rank == 0 and path.is_file()
            content = workers.told(b"+" + path.read_bytes() if there else b"")
            if content and workers.rank != 0:
                (Path(copies) / name).write_bytes(content[1:])
        yield folder if workers.rank == 0 else Path(copies)
