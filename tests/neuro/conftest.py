from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pytest
import shared_refused

from neuro.equilibrium.design import EquilibriumDesign
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.front_ends.pixels import PixelEncoder
from neuro.spec.sigma_delta import NetworkSpec

Refused = Callable[..., AbstractContextManager[None]]
SMALL = EquilibriumDesign((2, 3), 3, (4, 5), encoder=PixelEncoder(5, np.array([0, 3, -2, 31, 7, 9], np.int16)))


@pytest.fixture(scope="session")
def refused() -> Refused:
    """Context manager: the block raises a UserError of one line that holds every one of the given words."""
    return shared_refused.refused


@pytest.fixture(scope="session")
def small_spec() -> NetworkSpec:
    """Two hidden layers, a centred encoder, plastic projections and transposes."""
    return build_equilibrium(SMALL, seed=3)


@pytest.fixture(scope="session")
def raw_data() -> dict[str, np.ndarray]:
    """Arrays of a valid data file: 24 training and 6 test images of shape (2, 3), three classes."""
    generator = np.random.default_rng(1)
    return {
        "x_train": generator.random((24, 2, 3), dtype=np.float32),
        "y_train": np.arange(24) % 3,
        "x_test": generator.random((6, 2, 3), dtype=np.float32),
        "y_test": np.arange(6) % 3,
    }
