"""What an attack makes large. Scores are the output's PRE-activations: a clipped state has zero gradient at its limits.

All take scores of shape [B, K] and true labels [B] (int64), and return [B]; larger means closer to being fooled.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from neuro.base.checks import require_choice

Loss = Callable[[Tensor, Tensor], Tensor]
TINY = 1e-12


def of_class(scores: Tensor, classes: Tensor) -> Tensor:
    """The score [B] of one class per image, `classes` of shape [B]."""
    return scores.gather(1, classes[:, None])[:, 0]


def margin(scores: Tensor, labels: Tensor) -> Tensor:
    """Largest score of a wrong class minus that of the true one: > 0 if the model is fooled (Carlini, Wagner 2017)."""
    wrong = scores.scatter(1, labels[:, None], -torch.inf).amax(1)
    return wrong - of_class(scores, labels)


def cross_entropy(scores: Tensor, labels: Tensor) -> Tensor:
    """Softmax cross-entropy. UNSAFE on large scores and on clipped states: its gradient vanishes there."""
    return torch.nn.functional.cross_entropy(scores, labels, reduction="none")


def dlr(scores: Tensor, labels: Tensor) -> Tensor:
    """Difference of logits ratio: the margin over (z_1 - z_3), the largest and third largest (Croce, Hein 2020, eq. 6).

    Of fewer than three classes the ratio is undefined: then the margin itself.
    """
    if scores.shape[1] < 3:
        return margin(scores, labels)
    largest = scores.topk(3, dim=1).values
    return margin(scores, labels) / (largest[:, 0] - largest[:, 2] + TINY)


def dlr_targeted(targets: Tensor) -> Loss:
    """The loss (z_target - z_true) / (z_1 - (z_3 + z_4) / 2) towards `targets` [B] (Croce, Hein 2020, eq. 7).

    Of three classes the denominator is z_1 - z_3, of two it is 1.
    """

    def loss(scores: Tensor, labels: Tensor) -> Tensor:
        gain = of_class(scores, targets) - of_class(scores, labels)
        if scores.shape[1] < 3:
            return gain
        largest = scores.topk(min(4, scores.shape[1]), dim=1).values
        return gain / (largest[:, 0] - largest[:, 2:].mean(1) + TINY)

    return loss


LOSSES: dict[str, Loss] = {"margin": margin, "dlr": dlr, "cross-entropy": cross_entropy}


def get_loss(name: str) -> Loss:
    """Look up a loss by name. Raises: UserError if there is none."""
    require_choice("attack: loss", name, LOSSES)
    return LOSSES[name]
