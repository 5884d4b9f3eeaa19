"""A benchmark of everything there is, in tiny windows."""

import pytest

from benchmarks.bench import run, timing
from benchmarks.bench.config import BenchConfig
from benchmarks.bench.run import bench_run
from neuro.base.quantities import NotMeasurable
from sim.robustness.defences import same_shape

BRIEF = BenchConfig(seconds=0.02, threads=1, slayer="none")


@pytest.fixture(scope="module")
def hurry():
    """Tiny windows, few batch sizes, competitors trained in a moment, no energy counters."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "SWEEP_S", 0.002)
        patch.setattr(timing, "SWEEP_WARM_UP_S", 0.0)
        patch.setattr(timing, "WARM_UP_S", 0.0)
        patch.setattr(run, "BATCHES", {"cpu": (1, 8), "cuda": (1, 8)})
        patch.setattr(same_shape, "RATES", (1e-2,))
        patch.setattr(run, "open_counter", lambda device: NotMeasurable("no counter in a test"))
        yield


@pytest.fixture(scope="module")
def bench(finished, hurry):
    """A benchmark of everything there is."""
    return bench_run(finished, BRIEF)
