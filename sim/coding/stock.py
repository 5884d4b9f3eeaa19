"""Real signals in, sparse codes out: a coder made of stock processes, run on the chip's integers or on Lava.

Both backends run the same integers: spikes, u and v are equal (tests/contract/test_stock_coder.py). A trained one has
the atoms that a sigma-delta coder learned, at length 1: `stock_coder_of`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from neuro.base.arrays import Bools, Int64, Integers, Reals
from neuro.base.checks import Range, require_choice
from neuro.coding.coder import Drive, StockCoder
from neuro.coding.dictionary import unit_norm
from neuro.coding.graded_relu import graded_coder
from neuro.coding.lif import SpikingDesign, spiking_coder
from neuro.front_ends.pixels import PixelEncoder
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.lava.stock.run import run_stock_in_lava
from sim.backends.lava.worker.watch import STALL_S
from sim.backends.stock.emulator import StockRun, emulate
from sim.coding.config import FORMS, GRADED
from sim.coding.measure import TOLERANCE as SETTLED
from sim.coding.measure import CoderQuality, codes, integer_dictionary, lasso, quality_of, threshold_of

BACKENDS = ("chip", "lava")
AT_ONCE = 64  # signals whose spikes are in memory at once
TOLERANCE = 0.1
TINY = 1e-12


@dataclass(frozen=True, eq=False)
class CoderRecord:
    """What a coder found for B signals.

    codes:      of shape [B, K], real units.
    n_spikes:   of shape [B], messages the neurons sent (binary spikes, or graded ones), not the inputs.
    objective:  of shape [B], of the codes.
    proven_gap: of shape [B], (objective - least objective) / objective is at most this, proven by duality; the true gap
                is several times smaller (`neuro.coding.problem.SparseProblem.lower_bound`).
    tolerance:  a code is called converged if its proven_gap is at most this.
    """

    backend: str
    steps: int
    codes: Reals
    n_spikes: Int64
    objective: Reals
    proven_gap: Reals
    tolerance: float

    @property
    def converged(self) -> Bools:
        """Of shape [B]."""
        return np.asarray(self.proven_gap <= self.tolerance)

    def describe(self) -> str:
        """One line for people: how many codes converged, and what to do about the others."""
        done, total = int(self.converged.sum()), len(self.converged)
        line = f"{done} of {total} codes proven within {self.tolerance:.0%} of the least objective"
        return line if done == total else f"{line} after {self.steps} steps; run more steps for the others"


def run_coder(
    coder: StockCoder,
    drive: Drive,
    backend: str = "chip",
    threads: int | None = None,
    stall_s: float = STALL_S,
    on_signal: Callable[[int], None] = lambda done: None,
) -> StockRun:
    """Run the graph of a coder; every spike, and u and v at the end.

    Raises: UserError if the backend is unknown, or Lava is missing, fails, or finishes no signal for `stall_s` seconds.
    """
    require_choice("backend of sparse coders", backend, BACKENDS)
    if backend == "chip":
        return emulate(coder.graph, drive.inputs, threads, drive.biases)
    return run_stock_in_lava(coder.graph, drive.inputs, stall_s, on_signal, drive.biases).record


def code(
    coder: StockCoder,
    signals: npt.ArrayLike,
    steps: int,
    backend: str = "chip",
    *,
    tolerance: float = TOLERANCE,
    threads: int | None = None,
    stall_s: float = STALL_S,
    on_signal: Callable[[int], None] = lambda done: None,
) -> CoderRecord:
    """Present real signals of shape [B, N], each for `steps` steps from rest, and read their codes.

    Lava runs all signals in one graph and one watched worker process, which does not outlive the call.
    Raises: UserError if a signal cannot be presented, a code is beyond reach, or the backend fails (`run_coder`).
    """
    Range(0.0, 1.0, open_below=True, open_above=True).require("sparse coder", tolerance=tolerance)
    values = coder.problem.check_signals(signals)
    at_once = AT_ONCE if backend == "chip" else max(len(values), 1)
    codes, n_spikes = [np.zeros((0, coder.problem.n_atoms))], [np.zeros(0, dtype=np.int64)]
    for first in range(0, len(values), at_once):
        drive = coder.drive(values[first : first + at_once], steps)
        spikes = run_coder(coder, drive, backend, threads, stall_s, on_signal).spikes
        codes.append(coder.codes(spikes))
        n_spikes.append(coder.n_spikes(spikes))
    solutions = np.concatenate(codes)
    objective = coder.problem.objective(values, solutions)
    gap = (objective - coder.problem.lower_bound(values, solutions)) / np.maximum(objective, TINY)
    return CoderRecord(backend, steps, solutions, np.concatenate(n_spikes), objective, np.maximum(gap, 0.0), tolerance)


def stock_coder_of(form: str, spec: NetworkSpec, largest: float) -> StockCoder:
    """The coder of stock processes that has the atoms, the threshold and the encoder of a trained sigma-delta coder.

    Args:   form, of FORMS; spec, of whole images, codes >= 0 and a soft threshold; largest code to expect, real.
    Raises: UserError if the form is unknown, or the processes cannot hold the design.
    """
    require_choice("form", form, FORMS)
    atoms, threshold, encoder = unit_norm(integer_dictionary(spec)), threshold_of(spec), spec.encoder
    made: StockCoder
    if form == GRADED:
        made = graded_coder(atoms, threshold, encoder.activation_bits, reach=max(2.0 * largest, 1.0))
    else:
        scale = min(max(4.0 * largest, 1.0), 64.0)
        made = spiking_coder(atoms, threshold, SpikingDesign(scale, signal_reach=largest_drive(atoms, encoder)))
    return replace(made, encoder=encoder, image_shape=spec.image_shape)


def largest_drive(atoms: Reals, encoder: PixelEncoder) -> float:
    """The largest |d_i x| that any image can cause; atoms of shape [N, K]."""
    one, limit = 2.0**encoder.activation_bits, encoder.payload_limit
    if encoder.transform is not None:
        low, high = np.full(len(atoms), -limit / one), np.full(len(atoms), limit / one)
    else:
        offset = np.zeros(len(atoms)) if encoder.offset is None else encoder.offset / one
        low, high = -offset, 1.0 - offset
    up = np.maximum(atoms * low[:, None], atoms * high[:, None]).sum(axis=0)
    down = np.minimum(atoms * low[:, None], atoms * high[:, None]).sum(axis=0)
    return float(max(up.max(), -down.min()))


def stock_quality(coder: StockCoder, payloads: Integers) -> CoderQuality:
    """Compare codes with the LASSO solutions of the real dictionary, so that all rounding of weights counts."""
    problem, signals = coder.problem, coder.signals_of(payloads)
    found = codes(coder, payloads)
    wanted = lasso(problem.dictionary, problem.sparsity_threshold, signals, positive=True)
    return quality_of(found, wanted, problem.objective(signals, found), problem.objective(signals, wanted))


def stock_converged_share(coder: StockCoder, payloads: Integers) -> float:
    """The share of signals whose objective falls by less than SETTLED of itself in twice the steps."""
    signals, longer = coder.signals_of(payloads), replace(coder, free_steps=2 * coder.free_steps)
    now, later = (coder.problem.objective(signals, codes(each, payloads)) for each in (coder, longer))
    return float(np.mean(now - later <= SETTLED * now))
