"""What the twins of all families share: images in, scores out, differentiable."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from neuro.base.errors import UserError
from neuro.spec.network import Network
from sim.twins.encoder import encode
from sim.twins.fixed import fixed_twin
from sim.twins.surrogates import Firing, Surrogate
from sim.twins.units import straight


class TwinOutputs(NamedTuple):
    """What a twin computes for B images.

    scores: of shape [B, K], pre-activation of the output (see each twin for its unit): what attacks should use.
    states: of shape [B, K], the output state that the deployed network predicts from, in real units. It is clipped:
            cross-entropy on it is unsafe, since its gradient is exactly zero for most images.
    """

    scores: Tensor
    states: Tensor


class Twin(nn.Module, ABC):
    """A differentiable twin of a network. Build it once and use it for all images; see `sim.twins.make.make_twin`.

    steps:           steps that `forward` and `outputs` unroll; `predict` takes those of an inference.
    inference_steps: steps of an inference.
    unit:            state units (as in `Record.output_states`) of one real unit of `TwinOutputs.states`.
    mode:            "integer" or "relaxed".
    usual:           name of the surrogate to take where none is given.
    second:          by name, another surrogate that finds other gradients: this one lets them through neurons that are
                     saturated.
    comes_to_rest:   whether there are gradients at the fixed point (`sim.twins.gradients`).
    """

    unit: float
    usual: ClassVar[str] = "straight-through"
    second: ClassVar[tuple[str, Surrogate]] = ("leaky", Surrogate(box_slope=0.2))
    comes_to_rest: ClassVar[bool] = False

    def __init__(
        self, spec: Network, surrogate: Surrogate, mode: str, inference_steps: int, steps: int | None, every: int
    ) -> None:
        super().__init__()
        self.spec, self.surrogate, self.mode = spec, surrogate, mode
        self.inference_steps = inference_steps
        self.steps = inference_steps if steps is None else steps
        self.every = every
        self.firing = Firing(surrogate)
        offset = spec.encoder.offset
        self.register_buffer("offset", None if offset is None else torch.tensor(offset, dtype=torch.float64))
        whitening = None if spec.encoder.transform is None else spec.encoder.transform.whitening
        self.fixed = fixed_twin(spec.encoder.fixed)
        self.register_buffer("whitening", None if whitening is None else torch.tensor(whitening, dtype=torch.float64))

    @property
    def has_thresholds(self) -> bool:
        """Whether a neuron has a sparsity threshold, below which it sends nothing."""
        return False

    @property
    def payload_bits(self) -> int:
        """Bits of the coarsest payload between 0 and 1, of pixels and of neurons that send graded spikes."""
        return self.spec.encoder.activation_bits

    @property
    def rounds(self) -> bool:
        """Whether the forward pass is in integers."""
        return self.mode == "integer"

    @property
    def device(self) -> torch.device:
        """Where the twin computes; images are taken there."""
        return next(self.buffers()).device

    def forward(self, images: Tensor) -> Tensor:
        """Scores of shape [B, K] for images of shape [B, *image_shape], float in [0, 1].

        Raises: UserError if the images have another shape, type or range.
        """
        return self.outputs(images).scores

    def outputs(self, images: Tensor) -> TwinOutputs:
        """Scores and states for images of shape [B, *image_shape], float in [0, 1]; both differentiable."""
        return self._compute(self.checked(images), self.steps)

    def predict(self, images: Tensor) -> Tensor:
        """The class of each image, of shape [B], as the network predicts: lowest index on a tie."""
        return self.infer(images).states.argmax(dim=1)

    def infer(self, images: Tensor) -> TwinOutputs:
        """Scores and states after the steps of an inference, without gradients."""
        with torch.no_grad():
            return self._compute(self.checked(images), self.inference_steps)

    def payloads(self, images: Tensor) -> Tensor:
        """The input payloads of shape [B, N], float64, differentiable: the network's own encoder."""
        slope = self.surrogate.box_slope
        if self.fixed is not None:
            flat = images.reshape(len(images), math.prod(images.shape[1:])).to(torch.float64)
            found: Tensor = self.fixed(flat, self.rounds, slope)
            return found
        return encode(images, self.spec.encoder, self.offset, self.whitening, self.rounds, slope)

    def forget(self) -> None:
        """Drop what adaptive surrogates learned from the images so far; call it when an attack turns to others."""
        self.firing.forget()

    @abstractmethod
    def run(self, payloads: Tensor, steps: int) -> TwinOutputs:
        """The outputs after `steps` steps for payloads of shape [B, N] as `payloads` gives them."""

    @abstractmethod
    def rate_outputs(self, payloads: Tensor, steps: int) -> TwinOutputs:
        """The values of `run` with the gradients of the float rate model."""

    def _compute(self, images: Tensor, steps: int) -> TwinOutputs:
        self.firing.start_pass()
        by_rates = self.surrogate.name == "rate" and torch.is_grad_enabled()
        return (self.rate_outputs if by_rates else self.run)(self.payloads(images), steps)

    def checked(self, images: Tensor) -> Tensor:
        """The images, moved to where the twin computes. Raises: UserError if shape, type or range are others."""
        shape = tuple(self.spec.image_shape)
        if tuple(images.shape[1:]) != shape or not images.is_floating_point():
            raise UserError(
                f"images {images.dtype} of shape {tuple(images.shape)}: the network takes floats of shape [B, "
                f"{', '.join(map(str, shape))}]"
            )
        if len(images) and not (bool(images.min() >= 0.0) and bool(images.max() <= 1.0)):
            raise UserError(
                f"images: values {float(images.min()):g}..{float(images.max()):g} outside [0, 1]; clip or rescale them"
            )
        return images.to(self.device)


def rivals(scores: Tensor, labels: Tensor) -> Tensor:
    """The class of the highest score that is not the label, of shape [B]; scores of shape [B, K]."""
    return scores.scatter(1, labels[:, None], -torch.inf).argmax(dim=1)


def margin_direction(scores: Tensor, labels: Tensor) -> Tensor:
    """The vector e_rival - e_label, of shape [B, K]: the direction in which the margin loss grows."""
    labels = labels.to(scores.device)
    direction = torch.zeros_like(scores)
    direction.scatter_(1, rivals(scores, labels)[:, None], 1.0)
    return direction.scatter_add_(1, labels[:, None], -torch.ones_like(scores[:, :1]))


def carry(smooth: TwinOutputs, exact: TwinOutputs) -> TwinOutputs:
    """The values of `exact` with the gradients of `smooth`."""
    return TwinOutputs(straight(smooth.scores, exact.scores), straight(smooth.states, exact.states))
