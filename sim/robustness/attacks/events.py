"""Attacks on the spikes that enter a LIF network: inserted, deleted, or moved in time, one by one.

What reaches a chip is spikes, not pixels: whoever writes on the bus may add, drop or delay some. From the trains of the
clean image on, the changes that raise the margin most, by the gradient of a twin unrolled in time, are made a few at a
time; after each time the emulator, whose integers are the chip's, says whether the label has turned. The bias unit is
left alone. Sources: arXiv 2503.03272 (flips), 2602.03284 (moves that keep every count).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from neuro.base.arrays import Bools
from neuro.spec.network import Network
from neuro.stock.family import LifNetwork
from sim.backends.stock.emulator import emulate
from sim.robustness.attacks.losses import margin
from sim.twins.lif import LifTwin
from sim.twins.make import make_twin
from sim.twins.surrogates import Surrogate

FLIPS, MOVES = "events", "moves"
SURROGATE = Surrogate("atan")  # one by rates does not see when a spike comes
MOST = 256  # changes of an image, at most
GROWTH = 4  # a quarter of the changes so far is added at a time, at least one
FAR = 5  # steps by which a spike is moved, at most
Choose = Callable[[Tensor, Tensor, int], Tensor]  # trains, gradient [B, T, N], how many -> other trains


def smallest_event_changes(
    spec: Network, images: Tensor, labels: Tensor, most: int = MOST, progress: Callable[[str], None] | None = None
) -> dict[str, Tensor]:
    """The number of changes after which the label of each image turns, of shape [B], by kind.

    "events": spikes inserted or deleted; "moves": spikes moved by up to FAR steps, none added or lost. Infinite where
    `most` did not suffice, 0 where the label was wrong. Empty for networks that no spike trains enter.

    Args: images of shape [B, *shape], float in 0..1, labels [B]; on the CPU.
    """
    usual = make_twin(spec)
    if not isinstance(usual, LifTwin):
        return {}
    network = usual.spec
    clean = torch.from_numpy(network.free_inputs(spec.encoder.encode(images.numpy())).astype(np.float64))
    found = {}
    for kind, choose in ((FLIPS, _flipped), (MOVES, _moved)):
        if progress:
            progress(f"smallest change, {kind}")
        twin = make_twin(spec, SURROGATE)
        assert isinstance(twin, LifTwin)  # as the usual one
        sizes = _climb(twin, clean, labels, choose, most)
        found[kind] = sizes.masked_fill(torch.from_numpy(_wrong(network, clean, labels)), 0.0)
    return found


def _wrong(spec: LifNetwork, trains: Tensor, labels: Tensor) -> Bools:
    """Whether the deployed label is wrong, of shape [B], for trains of shape [B, T, N + 1]."""
    counts = spec.scores(emulate(spec.inference, trains.numpy().astype(np.int64), 1).spikes)
    wrong: Bools = counts.argmax(axis=1) != labels.numpy()
    return wrong


def _climb(twin: LifTwin, clean: Tensor, labels: Tensor, choose: Choose, most: int) -> Tensor:
    """The changes after which each label turns, of shape [B]."""
    sizes = torch.full((len(clean),), torch.inf)
    trains, left, made = clean.clone(), torch.arange(len(clean)), 0
    while len(left) and made < most:
        more = min(max(made // GROWTH, 1), most - made)
        trains = choose(trains, _gradient(twin, trains, labels[left]), more)
        made += more
        turned = torch.from_numpy(_wrong(twin.spec, trains, labels[left]))
        sizes[left[turned]] = (trains != clean[left]).flatten(1).sum(1)[turned].float()
        left, trains = left[~turned], trains[~turned]
    return sizes if choose is _flipped else sizes / 2  # a move empties one place and fills another


def _gradient(twin: LifTwin, trains: Tensor, labels: Tensor) -> Tensor:
    """The gradient of the margin with respect to every entry of the trains, of their shape; 0 at the bias unit."""
    leaf = trains.detach().requires_grad_(True)
    value = margin(twin.scores_of_trains(leaf), labels)
    gradient: Tensor = torch.autograd.grad(value.sum(), leaf)[0].nan_to_num(0.0, 0.0, 0.0)
    gradient[..., -1] = 0.0
    return gradient


def _flipped(trains: Tensor, gradient: Tensor, count: int) -> Tensor:
    """The trains with the best `count` entries of each image flipped."""
    gain: Tensor = (gradient * (1.0 - 2.0 * trains)).flatten(1)
    chosen: Tensor = torch.zeros_like(gain).scatter_(1, gain.topk(count, dim=1).indices, 1.0) * (gain > 0)
    flipped: Tensor = (trains.flatten(1) - chosen).abs()
    return flipped.reshape(trains.shape)


def _moved(trains: Tensor, gradient: Tensor, count: int) -> Tensor:
    """The trains with up to `count` spikes of each image moved in time, the best ones; of two to one place, one."""
    units, n_places = trains.shape[2], trains[0].numel()
    shifts = torch.tensor([shift for shift in range(-FAR, FAR + 1) if shift])
    gains = torch.stack([_gain_of(trains, gradient, int(shift)) for shift in shifts], dim=1)  # [B, shifts, T, N]
    gain, which = gains.flatten(2).max(dim=1)
    best, place = gain.topk(count, dim=1)
    target = place + shifts[which.gather(1, place)] * units
    target = torch.where(best > 0, target, place)
    rank = torch.arange(count).expand_as(place)
    first = torch.full((len(trains), n_places), count).scatter_reduce(1, target, rank, "amin")
    chosen, column = torch.nonzero((best > 0) & (first.gather(1, target) == rank), as_tuple=True)
    moved = trains.flatten(1).clone()
    moved[chosen, place[chosen, column]] = 0.0
    moved[chosen, target[chosen, column]] = 1.0
    return moved.reshape(trains.shape)


def _gain_of(trains: Tensor, gradient: Tensor, shift: int) -> Tensor:
    """What moving each spike by `shift` steps adds to the margin; -inf where there is none, or no room."""
    there, ahead = trains.roll(-shift, dims=1), gradient.roll(-shift, dims=1)
    possible = (trains > 0) & (there == 0)
    beyond = slice(-shift, None) if shift > 0 else slice(None, -shift)
    possible[:, beyond] = False
    possible[..., -1] = False
    return torch.where(possible, ahead - gradient, -torch.inf)
