"""The V1 front end in floats: what the integers of `neuro.front_ends.v1` are held against.

    r = 25 max(a, 0)  (simple)        r = 25 sqrt(a0^2 + a90^2) / sqrt(2)  (complex)        mean spikes = .35 r + .07

a: the Gabor filter on pixels in [0, 1], zero beyond the border; mean spikes: of a window of 25 ms, clipped at 16.
Source: Dapello et al. 2020.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import conv2d

from neuro.base.arrays import Reals
from neuro.front_ends.gabor import draw_channels
from neuro.front_ends.v1 import EXCITATION, SPIKES_PER_UNIT, SPONTANEOUS, STEPS, V1Choices, real_kernels


def mean_spikes(choices: V1Choices, images: Reals) -> Reals:
    """Mean spikes of every unit in a window of 25 ms, of shape [B, N]; images of shape [B, h, w(, channels)], 0..1."""
    planes = torch.tensor(images.reshape(*images.shape[:3], -1)).permute(0, 3, 1, 2)
    simple, n = choices.channels[0], sum(choices.channels)
    read = draw_channels(n, planes.shape[1], choices.seed)
    kernels = torch.tensor(real_kernels(choices, (images.shape[1], images.shape[2])))[:, None]
    every = [
        conv2d(planes[:, plane : plane + 1], kernels, stride=choices.stride, padding=choices.kernel // 2)
        for plane in range(planes.shape[1])
    ]
    owner = np.concatenate([read, read[simple:]])
    a = torch.stack([every[plane][:, index] for index, plane in enumerate(owner)], dim=-1)
    pair = torch.sqrt(a[..., simple:n] ** 2 + a[..., n:] ** 2) / np.sqrt(2.0)
    response = EXCITATION * torch.cat([a[..., :simple].clamp(min=0.0), pair], dim=-1)
    spikes = torch.clamp(SPIKES_PER_UNIT * response + SPONTANEOUS, max=float(STEPS))
    return np.asarray(spikes.reshape(len(images), -1).numpy())
