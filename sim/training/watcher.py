"""Who follows a training, to show it to people or to have a hand in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Watcher:
    """Is told how a training goes; this one shows nothing. Methods may be called many times and must be quick.

    An exception raised here ends the training; KeyboardInterrupt, after a checkpoint. trainer: that of the network
    trained, with `progress`, `n_epochs` and `n_images`.
    """

    def on_data(self, notes: Sequence[str]) -> None:
        """What was done to the data, and what a user should know of them, one line each."""

    def on_compile(self) -> None:
        """Kernels are being compiled: seconds after an installation or update, else no time."""

    def on_trial(self, trial: Any) -> None:
        """A hyper-parameter trial has ended."""

    def on_stage(self, stage: str, trainer: Any) -> None:
        """A training ("fit", or "refit" on all training images) starts or goes on."""

    def on_chunk(self, trainer: Any) -> None:
        """Some images have been learned."""

    def on_epoch(self, trainer: Any) -> None:
        """An epoch is over, validated where there are validation images."""

    def on_measure(self) -> None:
        """What was learned is being measured."""


NOBODY = Watcher()
