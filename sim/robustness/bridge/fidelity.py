"""How closely a twin follows the network it stands for: measured on the images that matter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from neuro.base.arrays import Integers, Reals
from neuro.base.errors import UserError
from sim.backends.record import Record
from sim.backends.session import AnySession
from sim.twins.base import Twin

AT_ONCE = 256


@dataclass(frozen=True)
class Fidelity:
    """Agreement of a twin with its deployed network on n images.

    label_agreement: share of equal predictions.
    output_error:    mean |difference| of output states, in the unit of `TwinOutputs.states`; None if only the
                     predictions of the deployed network are known.
    """

    label_agreement: float
    output_error: float | None
    n: int


def fidelity(twin: Twin, deployed: AnySession | Record | Integers, images: Tensor) -> Fidelity:
    """Compare a twin with a session of any backend, or with what one returned for the same images.

    Args:   images of shape [B, *image_shape], float in [0, 1]: clean or adversarial; at least one.
    Raises: UserError if there are no images, or not as many as predictions.
    """
    if not len(images):
        raise UserError("fidelity: no images; give at least one")
    if isinstance(deployed, np.ndarray):
        labels, outputs = deployed, None
    else:
        record = deployed if isinstance(deployed, Record) else deployed_record(twin, deployed, images)
        labels, outputs = record.predictions, record.output_states / twin.unit
    if len(labels) != len(images):
        raise UserError(f"fidelity: {len(labels)} predictions for {len(images)} images; give one each")
    states = inference_states(twin, images)
    agreement = float(np.mean(states.argmax(axis=1) == labels))
    error = None if outputs is None else float(np.abs(states - outputs).mean())
    return Fidelity(agreement, error, len(images))


def deployed_record(twin: Twin, session: AnySession, images: Tensor) -> Record:
    """The record of a session of the deployed network on images of shape [B, *image_shape]."""
    return session.run(twin.spec.encoder.encode(images.detach().cpu().numpy()))


def inference_states(twin: Twin, images: Tensor) -> Reals:
    """The twin's output states after an inference, of shape [B, K], in the unit of `TwinOutputs.states`."""
    with torch.no_grad():
        parts = [twin.infer(part).states.cpu().numpy() for part in images.detach().split(AT_ONCE)]
    states: Reals = np.concatenate(parts).astype(np.float64)
    return states
