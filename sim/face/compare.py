"""A finished run beside a file of recordings."""

from __future__ import annotations

from pathlib import Path

from neuro.base.errors import UserError
from neuro.data.recordings import load_recordings
from sim.brain.comparison import Comparison, compare, layers_of
from sim.brain.config import CompareConfig
from sim.face.run import Run


def compare_run(run: Run, recordings: str | Path, config: CompareConfig) -> Comparison:
    """Show the stimuli of a file to a run, prepared as its own images were, and compare what both answer.

    Raises: UserError if the file is none, lacks its stimuli, or holds images of another shape.
    """
    found = load_recordings(recordings)
    if found.stimuli is None:
        raise UserError(f"{found.owner}: holds no stimuli to show to the network; give `stimuli` or `images`")
    pixels, _ = run.preparation.images(found.stimuli, run.spec.image_shape)
    if pixels.shape[1:] != run.spec.image_shape:
        raise UserError(
            f"{found.owner}: stimuli of shape {found.stimuli.shape[1:]}, the network takes {run.spec.image_shape}; "
            "resize them"
        )
    return compare(run.name, layers_of(run.spec, pixels, config), found, config)
