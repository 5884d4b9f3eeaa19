"""Make the differentiable twin of a network: what a white-box attacker computes gradients on.

The forward pass is the deployed network's own integers ("integer"), or its float relaxation ("relaxed", nothing is
rounded); the backward pass takes surrogates for what has no derivative (`surrogates.Surrogate`). How far the twin can
be trusted is measured, never assumed: `twin_fidelity.fidelity`.
"""

from __future__ import annotations

from typing import Any

import torch

from neuro.base.checks import Range, require_choice
from neuro.base.errors import UserError
from neuro.spec.network import Network
from sim.families import of_kind
from sim.twins.base import Twin
from sim.twins.surrogates import Surrogate

MODES = ("integer", "relaxed")
MAX_STEPS = 65_536


def make_twin(
    spec: Network,
    surrogate: Surrogate | None = None,
    forward: str = "integer",
    steps: int | None = None,
    device: str = "cpu",
    checkpoint_steps: int = 0,
) -> Twin:
    """The twin of a network of any family.

    Args:   surrogate, by default straight-through, for LIF networks rate (there straight-through explodes over the
            hundred steps of an inference and hides the gradient: measured on digits, 20 steps of PGD at eps .1 leave
            .97 of 100 images, by rates .65); steps to unroll, by default those of an inference (more than that
            is an attack with more steps; predictions keep to those of an inference); checkpoint_steps: steps between
            two states kept for the backward pass, 0 for all, about sqrt(steps) for the least memory.
    Raises: UserError if an option is unknown or out of range, or the device is not there.
    """
    require_choice("twin: forward", forward, MODES)
    Range(1, MAX_STEPS).require("twin", steps=steps)
    Range(0).require("twin", "0 is for none", checkpoint_steps=checkpoint_steps)
    place = checked_device(device)
    kind: type[Any] | None = of_kind("twin", spec)
    if kind is None:
        raise UserError(f"twin: there is none of a {spec.title}; attack a classifier behind a sigma-delta coder")
    twin: Twin = kind(spec, surrogate or Surrogate(kind.usual), forward, steps, checkpoint_steps)
    return twin.to(place)


def checked_device(name: str) -> torch.device:
    """The device called `name`. Raises: UserError if there is none."""
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"device {name!r} is unknown; choose cpu or cuda") from error
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"device {name!r}: twins run on cpu or cuda")
    count = torch.cuda.device_count() if device.type == "cuda" and torch.cuda.is_available() else 0
    if device.type == "cuda" and not (device.index or 0) < count:
        raise UserError(f"device {name!r}: {count} CUDA devices here; choose cpu")
    return device
