"""How fast is convolutional LCA, work for active units only against the explicit lateral kernel, one thread each?

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.lca_speed [--data synthetic|cifar10] [--images 16]

64 random unit-norm kernels of 7 x 7 x 3, stride 2, "same" padding, on 32 x 32 x 3 images of zero mean and unit
variance; rectified codes, threshold 0.25, time constant 100 steps, 600 steps: the usual setting of public code. Ours is
`sim.coding.float_fast`; the other, in this file, is the usual public way: torch, one convolution with the explicit
lateral kernel D^T D - I per step. Both treat the zeros of the padding as observed. Images are synthetic (1/f spectrum)
unless
--data cifar10. The benchmark fails if any code differs by more than 1e-4. A second line lets both stop at the same
tolerance. CPU time of the process, median of --repeats runs of each, taken in turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
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
from sim.coding.float_fast import encode_fast
from sim.oracles.coding import Dynamics
from sim.oracles.operators import ConvolutionalOperator

SHAPE = (32, 32, 3)
FEATURES, EXTENT, STRIDE = 64, 7, 2
DYNAMICS = Dynamics(0.25, 100.0, max_steps=600, tolerance=None)
STOPS = 0.1  # share of |u| moved in a time constant, for the line with early stop
LIMIT = 1e-4  # largest difference of any code
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
    convolution = square(SHAPE, EXTENT, STRIDE, same=True)
    kernel = random_dictionary(convolution.kernel_shape(SHAPE, FEATURES), seed, np.float32)
    padded, bare, shape = with_padding_observed(images, convolution, SHAPE)
    operator = ConvolutionalOperator(kernel, bare, shape, torch.float32)
    signals = torch.from_numpy(padded)
    explicit = ExplicitLateral(operator.weight, STRIDE)
    maps = signals.reshape(-1, *shape).permute(0, 3, 1, 2).contiguous()
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
    question = {"data": options.data, "iterations": options.iterations, "seed": options.seed, "tolerance": STOPS}
    save(options.out, {"kind": "measured", **question, "fixed_steps": fixed, "early_stop": early})


if __name__ == "__main__":
    main()
