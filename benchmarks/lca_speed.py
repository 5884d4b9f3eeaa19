"""How fast is convolutional LCA, work for active units only against the explicit lateral kernel, one thread each?

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.lca_speed [--data synthetic|cifar10] [--images 16]

64 random unit-norm kernels of 7 x 7 x 3, stride 2, "same" padding, on 32 x 32 x 3 images of zero mean and unit
variance; rectified codes, threshold 0.25, time constant 100 steps, 600 steps: the usual setting of public code. Ours is
`sim.coding.float_fast`; the other, in this file, is the usual public way: torch, one convolution with the explicit
lateral kernel D^T D - I per step. Both treat the zeros of the padding as observed. Images are synthetic (1/f spectrum)
unless
--data cifar10. The benchmark fails if any code differs by more than 1e-4. A second line lets both stop at the same
tolerance. A third compares at equal objective: the fewest steps after which the mean objective is within GAP of the
least one (FISTA to a proven 1e-5), for LCA with the usual time constant, for LCA with the shortest one that cannot
oscillate, and for FISTA (`sim.coding.fista`); the explicit form is timed for EXPLICIT_STEPS steps and charged as many
as LCA took. CPU time of the process, median of --repeats runs of each, taken in turn.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from benchmarks.tools.results_file import parser, save
from neuro.base.arrays import Array, Float32
from neuro.base.convolution import square
from neuro.coding.dictionary import random_dictionary, with_padding_observed
from neuro.data.sets import load_dataset
from sim.coding.fista import FistaProblem, largest_eigenvalue, solve_fista
from sim.coding.float_fast import encode_fast
from sim.oracles.coding import Dynamics, NotConverged
from sim.oracles.operators import ConvolutionalOperator

SHAPE = (32, 32, 3)
FEATURES, EXTENT, STRIDE = 64, 7, 2
DYNAMICS = Dynamics(0.25, 100.0, max_steps=600, tolerance=None)
STOPS = 0.1  # share of |u| moved in a time constant, for the line with early stop
LIMIT = 1e-4  # largest difference of any code
GAP, TIGHT, EXPLICIT_STEPS = 1e-3, 1e-9, 60  # TIGHT: never reached, all steps are taken
EXPLICIT = {f"lca, {which} time constant": f"explicit, {which} time constant" for which in ("usual", "shortest")}
BATCH = 16  # images at once in the explicit form; of 1, 4, 16 and 64 none is much faster
CHANNEL_MIX = ((1.0, 0.6, 0.2), (1.0, 0.0, 0.0), (1.0, -0.6, 0.2))  # of synthetic colours: mostly brightness


def synthetic_images(count: int, seed: int) -> Float32:
    """Images of shape [n, 32, 32, 3] with random phases and amplitudes 1 / f, colours correlated."""
    generator = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(SHAPE[0])[:, None], np.fft.fftfreq(SHAPE[1])[None, :])
    amplitude = 1.0 / np.maximum(frequency, 1.0 / SHAPE[0])
    noise = np.fft.fft2(generator.standard_normal((count, SHAPE[2], *SHAPE[:2])))
    sources = np.fft.ifft2(noise * amplitude).real
    return np.einsum("nshw,cs->nhwc", sources, np.array(CHANNEL_MIX)).astype(np.float32)


def standardised(images: Array) -> Float32:
    """Images of zero mean and unit variance each."""
    real = images.astype(np.float32)
    centred = real - real.mean(axis=(1, 2, 3), keepdims=True)
    return np.asarray(centred / centred.std(axis=(1, 2, 3), keepdims=True), dtype=np.float32)


@dataclass
class ExplicitLateral:
    """The usual public way: u += (D^T x - u - (D^T D - I) * a) / tau with the lateral kernel D^T D as a convolution."""

    weight: Tensor  # [K, channels, extent, extent]
    stride: int

    def __post_init__(self) -> None:
        extent, features = self.weight.shape[-1], len(self.weight)
        reach = (extent - 1) // self.stride * self.stride  # atoms this far apart still overlap
        self.lateral = conv2d(self.weight, self.weight, stride=self.stride, padding=reach)
        centre = self.lateral.shape[-1] // 2
        self.lateral[range(features), range(features), centre, centre] -= 1.0

    @torch.no_grad()
    def encode(self, images: Tensor, dynamics: Dynamics) -> tuple[Tensor, int]:
        """Codes of shape [B, K, rows, columns] of padded images [B, channels, ...], and the steps taken."""
        drive = conv2d(images, self.weight, stride=self.stride)
        state, codes = torch.zeros_like(drive), torch.zeros_like(drive)
        before, padding = state, self.lateral.shape[-1] // 2
        step = 0
        for step in range(1, dynamics.max_steps + 1):
            inhibition = conv2d(codes, self.lateral, padding=padding)
            state = state + (drive - state - inhibition) / dynamics.tau_steps
            codes = torch.relu(state - dynamics.sparsity_threshold)
            if dynamics.tolerance is not None and step % dynamics.window == 0:
                moved = (state - before).flatten(1).norm(dim=1) / state.flatten(1).norm(dim=1)
                before = state
                if bool((moved <= dynamics.tolerance).all()):
                    break
        return codes, step


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """The result of `work`, and the CPU seconds it took."""
    start = time.process_time()
    found = work()
    return found, time.process_time() - start


def compare(images: Float32, dynamics: Dynamics, seed: int, repeats: int) -> dict[str, Any]:
    """Code all images both ways, and return figures."""
    operator, signals = _problem(images, seed)
    explicit = ExplicitLateral(operator.weight, STRIDE)
    maps = signals.reshape(-1, *operator.shape).permute(0, 3, 1, 2).contiguous()
    warm = replace(dynamics, max_steps=2, tolerance=None)
    encode_fast(operator, signals[:1], warm)  # compiles, once
    explicit.encode(maps[:1], warm)
    seconds: dict[str, list[float]] = {"ours": [], "explicit": []}
    for _ in range(repeats):
        ours, ours_s = timed(lambda: encode_fast(operator, signals, dynamics))
        theirs, theirs_s = timed(lambda: [explicit.encode(part, dynamics) for part in maps.split(BATCH)])
        seconds["ours"].append(ours_s)
        seconds["explicit"].append(theirs_s)
    codes = torch.cat([part.permute(0, 2, 3, 1).flatten(1) for part, _ in theirs])
    per_1000 = {name: median(values) / len(images) * 1000 for name, values in seconds.items()}
    return {
        "cpu_s_per_1000_images": per_1000,
        "ratio": per_1000["explicit"] / per_1000["ours"],
        "ratios": [e / o for e, o in zip(seconds["explicit"], seconds["ours"], strict=True)],
        "largest_difference": float((ours.codes - codes).abs().max()),
        "active_share": float((ours.codes != 0).float().mean()),
        "steps": {"ours": float(ours.n_steps.double().mean()), "explicit": [step for _, step in theirs]},
        "objective": float(ours.objective.mean()),
        "n_images": len(images),
    }


def at_equal_objective(images: Float32, seed: int, repeats: int) -> dict[str, Any]:
    """Steps and CPU seconds per 1000 images of every way to within GAP of the least mean objective."""
    operator, signals = _problem(images, seed)
    threshold = DYNAMICS.sparsity_threshold
    best = solve_fista(operator, signals, FistaProblem(threshold, tolerance=1e-5, max_steps=5000))
    wanted = (1 + GAP) * float(best.objective.mean())
    shortest = max(largest_eigenvalue(operator) / 2, 1.0)
    quick = replace(DYNAMICS, tau_steps=shortest)

    def lca(dynamics: Dynamics, steps: int) -> float:
        return float(encode_fast(operator, signals, replace(dynamics, max_steps=steps)).objective.mean())

    def fista(steps: int) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotConverged)
            problem = FistaProblem(threshold, tolerance=TIGHT, max_steps=steps)
            return float(solve_fista(operator, signals, problem).objective.mean())

    ways: dict[str, Callable[[int], float]] = {
        "fista": fista,
        "lca, usual time constant": partial(lca, DYNAMICS),
        "lca, shortest time constant": partial(lca, quick),
    }
    steps = {name: _fewest(way, wanted) for name, way in ways.items()}
    explicit = ExplicitLateral(operator.weight, STRIDE)
    maps = signals.reshape(-1, *operator.shape).permute(0, 3, 1, 2).contiguous()
    fixed = replace(DYNAMICS, max_steps=EXPLICIT_STEPS)
    seconds: dict[str, list[float]] = {name: [] for name in (*ways, *EXPLICIT.values())}
    for _ in range(repeats):
        for name, way in ways.items():
            seconds[name].append(timed(partial(way, steps[name]))[1])
        _, spent = timed(lambda: [explicit.encode(part, fixed) for part in maps.split(BATCH)])
        for name, own in EXPLICIT.items():
            seconds[own].append(spent * steps[name] / EXPLICIT_STEPS)
    per_1000 = {name: median(values) / len(images) * 1000 for name, values in seconds.items()}
    return {
        "gap": GAP,
        "least_objective": float(best.objective.mean()),
        "proven_gap": float(best.gap.max()),
        "steps": {**steps, **{own: steps[name] for name, own in EXPLICIT.items()}},
        "tau_steps": {"lca, usual time constant": DYNAMICS.tau_steps, "lca, shortest time constant": shortest},
        "cpu_s_per_1000_images": per_1000,
        "ratio": {name: per_1000["explicit, usual time constant"] / value for name, value in per_1000.items()},
        "objective_after_600_steps": lca(DYNAMICS, 600),
        "n_images": len(images),
    }


def _fewest(way: Callable[[int], float], wanted: float) -> int:
    """The fewest steps, to 3 %, after which the objective is at most `wanted`."""
    too_few, enough = 0, 10
    while way(enough) > wanted:
        too_few, enough = enough, 2 * enough
    while enough - too_few > max(1, 0.03 * enough):
        middle = (too_few + enough) // 2
        too_few, enough = (middle, enough) if way(middle) > wanted else (too_few, middle)
    return enough


def _problem(images: Float32, seed: int) -> tuple[ConvolutionalOperator, Tensor]:
    """The dictionary, random, and the images, their padding observed."""
    convolution = square(SHAPE, EXTENT, STRIDE, same=True)
    kernel = random_dictionary(convolution.kernel_shape(SHAPE, FEATURES), seed, np.float32)
    padded, bare, shape = with_padding_observed(images, convolution, SHAPE)
    return ConvolutionalOperator(kernel, bare, shape, torch.float32), torch.from_numpy(padded)


def report(name: str, row: dict[str, Any]) -> None:
    """Print a line."""
    cost = row["cpu_s_per_1000_images"]
    print(
        f"{name}: ours {cost['ours']:.1f}, explicit lateral kernel {cost['explicit']:.1f} CPU-s per 1000 images, "
        f"ratio {row['ratio']:.1f} ({', '.join(f'{ratio:.1f}' for ratio in row['ratios'])}); active "
        f"{100 * row['active_share']:.1f} %, largest difference {row['largest_difference']:.1e}, "
        f"{row['n_images']} images",
        flush=True,
    )


def main() -> None:
    """Entry point."""
    arguments = parser(__doc__ or "", "lca_speed", seed=0)
    arguments.add_argument("--data", choices=("synthetic", "cifar10"), default="synthetic")
    arguments.add_argument("--images", type=int, default=BATCH)
    arguments.add_argument("--iterations", type=int, default=DYNAMICS.max_steps)
    arguments.add_argument("--repeats", type=int, default=3)
    options = arguments.parse_args()
    torch.set_num_threads(1)
    raw = load_dataset("cifar10").x_test[: options.images] if options.data == "cifar10" else None
    images = standardised(synthetic_images(options.images, options.seed) if raw is None else raw)
    dynamics = replace(DYNAMICS, max_steps=options.iterations)
    fixed = compare(images, dynamics, options.seed, options.repeats)
    report(f"{options.data}, {options.iterations} steps", fixed)
    if fixed["largest_difference"] > LIMIT:
        raise SystemExit(f"codes differ by {fixed['largest_difference']:.2e}, more than {LIMIT:g}")
    early = compare(images, replace(dynamics, tolerance=STOPS), options.seed, options.repeats)
    report(f"{options.data}, both stop at {STOPS:g} per time constant", early)
    equal = at_equal_objective(images, options.seed, options.repeats)
    for name, cost in equal["cpu_s_per_1000_images"].items():
        print(f"within {GAP:g} of the least objective: {name}, {equal['steps'][name]} steps, {cost:.1f} CPU-s per 1000")
    question = {"data": options.data, "iterations": options.iterations, "seed": options.seed, "tolerance": STOPS}
    save(
        options.out,
        {"kind": "measured", **question, "fixed_steps": fixed, "early_stop": early, "equal_objective": equal},
    )


if __name__ == "__main__":
    main()
