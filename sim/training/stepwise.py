"""How every training goes: chunk by chunk, epoch by epoch. It knows nothing of files or screens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from sim.training.interrupt import uninterrupted
from sim.training.watcher import NOBODY, Watcher


class Stepwise(ABC):
    """One training of `n_epochs` epochs of `n_images` images: call `run` until they are done.

    progress:   where it stands, with `epoch`, `position` (images of this epoch already seen) and `history`.
    consistent: whether all it holds belongs together: False while a chunk is learned.
    """

    progress: Any
    n_epochs: int
    consistent = True

    @property
    @abstractmethod
    def n_images(self) -> int:
        """Training images per epoch."""

    @abstractmethod
    def step(self) -> None:
        """Learn the next chunk of this epoch, and count it in `progress`."""

    @abstractmethod
    def end_epoch(self) -> None:
        """Measure the epoch, add it to the history, and move on to the next."""

    def run(self, listener: Watcher = NOBODY) -> None:
        """Train until all epochs are done, from wherever `progress` stands; it can be interrupted after any chunk."""
        while self.progress.epoch < self.n_epochs:
            while self.progress.position < self.n_images:
                with uninterrupted():
                    self.consistent = False
                    self.step()
                    self.consistent = True
                listener.on_chunk(self)
            with uninterrupted():
                self.consistent = False
                self.end_epoch()
                self.consistent = True
            listener.on_epoch(self)
