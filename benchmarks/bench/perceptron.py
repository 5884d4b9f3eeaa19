"""The conventional competitor: a ReLU perceptron of the same shape, trained by backpropagation; floats, and int8.

The float one is `sim.robustness.defences.baselines.perceptron`. The other is it again, quantised after training, by the
integer kernels that torch ships (fbgemm, qnnpack, onednn): weights int8, one scale an output neuron, symmetric;
activations 7 bits of uint8, one scale a layer, from training images; sums int32; ReLU in the requantisation:

    y_q = clip(round((sum_i (x_q - z_x)_i w_q_ij + b_q_j) * s_x s_w_j / s_y) + z_y, 0, 255)

Inputs and hidden layers are never negative (z = 0); the output layer is. Nothing is trained after quantisation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch._ops import ops

from neuro.base.arrays import Images, Int64, Integers
from neuro.base.errors import UserError
from neuro.base.metrics import Accuracy
from neuro.data.sets import Dataset
from sim.robustness.defences.baselines import real_images
from sim.robustness.defences.same_shape import train_tuned

CALIBRATION = 1024  # training images that activations are scaled by
# Of activations: without VNNI fbgemm adds pairs of products in 16 bits, where 8 bits would saturate.
LEVELS = 127
SYMMETRIC = 127
STEP = 0.01  # learning rate of the training step that is timed


class FloatPerceptron:
    """Images in host memory -> classes in host memory, on a device of torch. model takes floats in 0..1."""

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        self.device, self.model, self._wait = device, model.to(device).eval(), waiting(device)
        self._optimizer = torch.optim.SGD(self.model.parameters(), lr=STEP)

    def infer(self, images: Images) -> Int64:
        """The class of each image; back on the host when it returns."""
        with torch.inference_mode():
            return np.asarray(self.model(real_images(images).to(self.device)).argmax(1).cpu().numpy())

    def learn(self, images: Images, labels: Integers) -> None:
        """Make one step of stochastic gradient descent on these images; done when it returns."""
        classes = torch.as_tensor(labels, dtype=torch.int64).to(self.device)
        self._optimizer.zero_grad()
        nn.functional.cross_entropy(self.model(real_images(images).to(self.device)), classes).backward()
        self._optimizer.step()
        self._wait()


def waiting(device: torch.device) -> Callable[[], None]:
    """A function that waits until a device has finished its work."""

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return wait


class Int8Perceptron:
    """The quantised perceptron, on the CPU.

    Args:   model, a trained float perceptron; images, training images that tell how large activations become.
    Raises: UserError if this build of torch has no integer kernels.
    """

    def __init__(self, model: nn.Sequential, images: Images) -> None:
        engines = [name for name in torch.backends.quantized.supported_engines if name != "none"]
        if not engines:
            raise UserError("int8: this build of torch has no quantised kernels (torch.backends.quantized)")
        layers = [layer for layer in model.cpu() if isinstance(layer, nn.Linear)]
        self._packed = [_packed(layer) for layer in layers]
        self._scales = _scales(layers, real_images(images[:CALIBRATION]).flatten(1))

    def infer(self, images: Images) -> Int64:
        """The class of each image."""
        return np.asarray(self.outputs(images).int_repr().argmax(1).numpy())

    def outputs(self, images: Images) -> Tensor:
        """The quantised scores of images, of shape [B, K]."""
        (scale, zero), *rest = self._scales
        values = torch.quantize_per_tensor(real_images(images).flatten(1), scale, zero, torch.quint8)
        for packed, (scale, zero) in zip(self._packed[:-1], rest, strict=False):
            values = ops.quantized.linear_relu(values, packed, scale, zero)
        scale, zero = rest[-1]
        scores: Tensor = ops.quantized.linear(values, self._packed[-1], scale, zero)
        return scores


def _packed(layer: nn.Linear) -> torch.ScriptObject:
    """A layer's weights in int8, as the kernels take them."""
    weight = layer.weight.detach()
    scales = (weight.abs().amax(1) / SYMMETRIC).clamp_min(1e-12).double()
    zeros = torch.zeros(len(weight), dtype=torch.int64)
    packed: torch.ScriptObject = ops.quantized.linear_prepack(
        torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8), layer.bias.detach()
    )
    return packed


def _scales(layers: Sequence[nn.Linear], images: Tensor) -> list[tuple[float, int]]:
    """Scale and zero point of the input and of what every layer sends, from images [B, N]."""
    scales, values = [(1.0 / LEVELS, 0)], images
    with torch.inference_mode():
        for index, layer in enumerate(layers):
            values = layer(values)
            if index + 1 < len(layers):
                values = values.relu()
            low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
            scale = max(high - low, 1e-6) / LEVELS
            scales.append((scale, round(-low / scale)))
    return scales


def train_perceptron(dataset: Dataset, hidden: tuple[int, ...], seed: int) -> tuple[nn.Sequential, Accuracy]:
    """A trained float perceptron and its validation accuracy, by which learning rate and epoch are chosen."""
    best = train_tuned(dataset, hidden, seed)
    if not isinstance(best.model, nn.Sequential):
        raise TypeError("train_perceptron: a perceptron is a sequence of layers")
    return best.model, best.val_accuracy
