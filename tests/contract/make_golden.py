"""Writes golden.npz anew, when a change is meant to change integers: `python tests/contract/make_golden.py`."""

import json
from pathlib import Path

import numpy as np

from neuro.artifact.sigma_delta import spec_arrays, spec_to_json
from neuro.base.files import array_bytes, write_atomically
from neuro.equilibrium.design import design_for
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.spec.plasticity import Rate
from sim.backends.protocol import get_backend
from sim.contract.sigma_delta import run_fully

PATH = Path(__file__).with_name("golden.npz")


def main() -> None:
    spec = build_equilibrium(design_for((4, 5), 3, (9,), shadow_bits=4), seed=11)
    generator = np.random.default_rng(12)
    payloads = generator.integers(0, 33, (6, 20)).astype(np.int16)
    targets = (generator.random((6, 3)) < 0.4).astype(np.int32) << 16
    rates = {p.name: Rate(3 + index, 9 + index) for index, p in enumerate(spec.plastic)}
    reference = get_backend("reference")
    record = run_fully(reference, spec, payloads, targets, seed=13, first_image=14)
    with reference.open(spec) as session:
        session.learn(payloads, targets, rates, seed=13, first_image=14)
        learned = session.full_weights()
    arrays = {f"spec.{key}": value for key, value in spec_arrays(spec).items()}
    arrays |= {f"states.{key}": value for key, value in record.states.items()}
    arrays |= {f"learned.{key}": value for key, value in learned.items()}
    arrays |= {
        "spec": np.frombuffer(json.dumps(spec_to_json(spec)).encode(), dtype=np.uint8),
        "rates": np.array([[rates[p.name].mantissa, rates[p.name].exponent] for p in spec.plastic]),
        "payloads": payloads,
        "targets": targets,
        "spikes": record.spikes.rows(),
        "predictions": record.predictions,
    }
    write_atomically(PATH, array_bytes(arrays))


if __name__ == "__main__":
    main()
