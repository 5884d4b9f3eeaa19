"""Chains in Lava: the coder, then the network behind it; every spike, state and prediction of both."""

import importlib.util

import pytest

from sim.face.run import Run

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="Lava needs Python 3.10"),
    pytest.mark.lava,
    pytest.mark.timeout(300),
]


@pytest.mark.parametrize(
    ("form", "check"), [("spiking", "events"), pytest.param("graded", "chip", marks=pytest.mark.slow)]
)
def test_chains_run_as_in_lava(form, check, chains, blob_data):
    run = Run(Run.load(chains[f"behind {form}"]).artifact, dataset=blob_data)
    found = run.evaluate("lava", images=2, check=check, progress=False)
    assert found.differences.total == 0
    assert (found.differences.n_images, found.n) == (2, 2)
    assert found.differences.n_spikes > 2 * found.spikes_per_inference > 0
