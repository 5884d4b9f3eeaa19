"""Dictionary learning in floats, the oracle of the chip's form: residual x activity, atoms of exactly unit norm.

    dD = learning_rate * mean over a batch of (x - D a) a^T,        then every atom is divided by its norm

Local: each synapse sees the residual at one end and the activity at the other. For convolutional dictionaries the sum
runs over all positions. Source: Olshausen & Field 1996; with LCA codes, Rozell et al. 2008, section 6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from neuro.base.arrays import AnyArray
from neuro.base.checks import Range
from neuro.base.convolution import Convolution
from neuro.base.errors import UserError
from neuro.coding.dictionary import patches_of, random_dictionary, unit_norm
from sim.coding.float_fast import encode_fast
from sim.oracles.coding import Dynamics, Solution
from sim.oracles.operators import ConvolutionalOperator, DenseOperator


@dataclass(frozen=True)
class DictionaryConfig:
    """What dictionary is learned in floats, and how (a design is what a network is made from).

    n_atoms:       K. dynamics: of the coder; with tolerance None codes take exactly max_steps.
    learning_rate: of the first batch, dimensionless / signal^2; falls geometrically to final_share of it.
    epochs, batch: passes over the signals, and signals per update.
    revive:        whether an atom that no signal used during an epoch is replaced by a badly reconstructed signal's
                   residual. (Atoms of a rectified code may never win again.)
    convolution, image_shape: for kernels; without them atoms are as long as a signal.
    """

    n_atoms: int
    dynamics: Dynamics
    learning_rate: float = 1.0
    final_share: float = 0.1
    epochs: int = 1
    batch: int = 64
    revive: bool = True
    convolution: Convolution | None = None
    image_shape: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        Range(1).require("dictionary learning", n_atoms=self.n_atoms, epochs=self.epochs, batch=self.batch)
        if not (self.learning_rate > 0 and 0 < self.final_share <= 1):
            raise UserError(
                f"dictionary learning: rate {self.learning_rate} falling to a share of {self.final_share}; needs a "
                "positive rate and a share in 0..1"
            )
        if (self.convolution is None) != (self.image_shape is None):
            raise UserError("dictionary learning: kernels need both a convolution and an image_shape")

    def dictionary_shape(self, n_values: int) -> tuple[int, ...]:
        """The shape of the dictionary for signals of `n_values` values."""
        if self.convolution is None or self.image_shape is None:
            return n_values, self.n_atoms
        return self.convolution.kernel_shape(self.image_shape, self.n_atoms)

    def operator(self, dictionary: Tensor) -> DenseOperator | ConvolutionalOperator:
        """The operator of a dictionary."""
        if self.convolution is None or self.image_shape is None:
            return DenseOperator(dictionary, torch.float32)
        return ConvolutionalOperator(dictionary, self.convolution, self.image_shape, torch.float32)


@dataclass(frozen=True)
class LearningStep:
    """One batch: its place among n_batches, its mean objective and active units per signal, before the update."""

    batch: int
    n_batches: int
    objective: float
    n_active: float


@dataclass(frozen=True, eq=False)
class Learned:
    """A learned dictionary, float32, with its history and how often atoms were revived."""

    dictionary: AnyArray
    history: tuple[LearningStep, ...]
    n_revived: int


def learn_dictionary(
    signals: AnyArray,
    config: DictionaryConfig,
    seed: int,
    start: AnyArray | None = None,
    on_batch: Callable[[LearningStep], None] | None = None,
) -> Learned:
    """Learn a dictionary of `signals`, prepared as they will be when they are coded. Same seed, same dictionary.

    Args:  signals of shape [n, ...], N values each; start, a dictionary to go on from (default: random atoms).
    """
    if signals.size == 0:
        raise UserError("dictionary learning: no signals; give at least one")
    flat = torch.as_tensor(np.asarray(signals, dtype=np.float32).reshape(len(signals), -1))
    shape = config.dictionary_shape(flat.shape[1])
    if start is not None and start.shape != shape:
        raise UserError(f"dictionary learning: starts from shape {start.shape}, needs {shape}")
    first = random_dictionary(shape, seed) if start is None else unit_norm(start)
    dictionary = torch.as_tensor(first.astype(np.float32))
    history: list[LearningStep] = []
    used, n_revived = torch.zeros(config.n_atoms, dtype=torch.bool), 0
    batches = list(_batches(len(flat), config, seed))
    for number, (chosen, last_of_epoch) in enumerate(batches):
        operator = config.operator(dictionary)
        solution = encode_fast(operator, flat[chosen], config.dynamics)
        residuals = flat[chosen] - operator.synthesise(solution.codes)
        rate = config.learning_rate * config.final_share ** (number / max(1, len(batches) - 1))
        dictionary = _normalised(dictionary + rate * operator.gradient(residuals, solution.codes))
        used |= (solution.codes.reshape(-1, config.n_atoms) != 0).any(0)
        if last_of_epoch:
            if config.revive and number + 1 < len(batches):
                n_revived += _revive(dictionary, ~used, _atom_residuals(residuals, config))
            used.zero_()
        history.append(_told(number, len(batches), solution, on_batch))
    return Learned(dictionary.numpy(), tuple(history), n_revived)


def _batches(n_signals: int, config: DictionaryConfig, seed: int) -> Iterator[tuple[Tensor, bool]]:
    """Indices of each batch, and whether it is the last one of its epoch."""
    for epoch in range(config.epochs):
        order = np.random.default_rng([seed, epoch]).permutation(n_signals)
        parts = np.array_split(order, -(-n_signals // config.batch))
        for number, part in enumerate(parts):
            yield torch.from_numpy(part), number == len(parts) - 1


def _normalised(dictionary: Tensor) -> Tensor:
    norms = dictionary.reshape(-1, dictionary.shape[-1]).norm(dim=0)
    if not bool(torch.isfinite(norms).all()):
        raise UserError("dictionary learning: atoms diverged; lower the learning rate or give codes a larger tau_steps")
    normalised: Tensor = dictionary / norms.clamp(min=1e-12)
    return normalised


def _atom_residuals(residuals: Tensor, config: DictionaryConfig) -> Tensor:
    """What is left of the signals at the places of an atom, of shape [signals * positions, taps]."""
    if config.convolution is None or config.image_shape is None:
        return residuals
    patches = patches_of(residuals.numpy(), config.convolution, config.image_shape)
    return torch.from_numpy(patches.reshape(-1, patches.shape[-1]))


def _revive(dictionary: Tensor, dead: Tensor, residuals: Tensor) -> int:
    """Replace dead atoms, in place, by the largest residuals. Returns how many."""
    sizes = residuals.norm(dim=1)
    count = min(int(dead.sum()), int((sizes > 0).sum()))
    worst = sizes.topk(count).indices
    atoms = dictionary.view(-1, dictionary.shape[-1])
    atoms[:, dead.nonzero()[:count, 0]] = (residuals[worst] / sizes[worst, None]).T
    return count


def _told(
    number: int, n_batches: int, solution: Solution, on_batch: Callable[[LearningStep], None] | None
) -> LearningStep:
    step = LearningStep(number, n_batches, float(solution.objective.mean()), float(solution.n_active.float().mean()))
    if on_batch is not None:
        on_batch(step)
    return step
