"""What an epoch says of how its images settled."""

import re

import numpy as np
import pytest

from neuro.artifact.run_folder import Artifact
from neuro.base.errors import UserError
from neuro.base.metrics import Accuracy
from neuro.equilibrium.design import design_for
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.spec.schedule import EVEN_ODD
from sim.backends.presentation import nudge_signs
from sim.backends.protocol import get_backend, one_hot_targets
from sim.backends.record import Settling
from sim.training.rates import projection_rates
from sim.training.results import TrainResult
from sim.training.settling import Settled, Tally, share_at_limit


@pytest.fixture
def spec():
    return build_equilibrium(design_for((4, 4), 3, (8, 5), order=EVEN_ODD), 0)


def test_an_output_that_moves_alone_is_amplified_once(spec):
    """Nudge 1/2, error e: the two ends are e apart, whatever the sign of the first."""
    one, n = spec.unit(spec.output).one, 4
    targets = one_hot_targets(spec, np.array([0, 1, 2, 0]))
    free = np.full((n, 3), one // 4, dtype=np.int32)
    signs = np.array([1, -1, 1, -1])
    force = (targets - free) // 2 * signs[:, None]
    settling = Settling(np.array([True, True, True, False]), np.array([3, 5, 7, 9]), free,
                        np.stack([free + force, free - force], axis=1).astype(np.int32))  # fmt: skip
    tally = Tally()
    tally.add(spec, settling, targets, signs)
    found = tally.summary()
    assert found == Settled(0.75, 6.0, pytest.approx(1.0), 0.0)
    assert Tally().summary() is None


def test_the_box_is_counted(spec):
    unit = spec.unit(spec.output)
    nudged = np.zeros((2, 2, 3), dtype=np.int32)
    nudged[1, 0, 2] = unit.upper
    targets = one_hot_targets(spec, np.array([2, 2]))
    tally = Tally()
    tally.add(
        spec, Settling(np.ones(2, bool), np.ones(2, int), np.zeros((2, 3), int), nudged), targets, np.ones(2, int)
    )
    assert tally.summary().at_box == 0.5


def test_weights_at_their_limit_are_counted_and_biases_are_not(spec):
    limit = spec.projection("hidden1->hidden2").limit
    weights = {p.name: np.zeros_like(p.weights) for p in spec.plastic}
    weights["bias->output"][:] = limit
    assert share_at_limit(spec, weights) == 0.0
    weights["hidden1->hidden2"][:, 0] = -limit
    weights["input->hidden1"][0, 0] = limit
    assert share_at_limit(spec, weights) == pytest.approx(1 / 5)
    assert Settled(1.0, 20.0, 2.0, 0.0, 0.2).warnings(in_turn=False) == []
    (found,) = Settled(1.0, 20.0, 2.0, 0.0, 0.2).warnings(in_turn=True)
    assert "20% of the weights" in found


def test_warnings_name_the_remedy():
    assert not Settled(1.0, 20.0, 2.0, 0.0).warnings(in_turn=True)
    assert not Settled(0.9, 20.0, 2.0, 0.0).warnings(in_turn=False)
    found = Settled(0.5, 90.0, 5.2, 0.5).warnings(in_turn=True)
    for word, text in zip(("50% of the images fell silent", "5.2 times its force", "50% .* meets"), found, strict=True):
        assert re.search(word, text)
        assert "--learning-rate" in text
    assert "--schedule even-odd" in Settled(0.2, 9.0, None, 0.0).warnings(in_turn=False)[0]


def test_backends_tell_the_same(spec):
    images = np.random.default_rng(0).random((6, 4, 4))
    targets = one_hot_targets(spec, np.arange(6) % 3)
    signs, found = nudge_signs(spec, 1, 0, 6), []
    for name in ("reference", "events", "torch"):
        with get_backend(name).open(spec) as session:
            outcome = session.learn(spec.encoder.encode(images), targets, projection_rates(spec, 0.1, 0.5), seed=1,
                                    first_image=0)  # fmt: skip
        tally = Tally()
        tally.add(spec, outcome.settling, targets, signs)
        found.append(tally.summary())
    assert found[0] == found[1] == found[2]
    assert found[0].amplification > 0


@pytest.mark.parametrize(
    "edited", [{"best_epoch": 99}, {"best_epoch": "2"}, {"history": None}, {"history": [3]}, {"config": 7}, {}]
)
def test_an_edited_manifest_is_told_without_it(edited):
    row = {"silent": 1.0, "half_steps": 3.0, "amplification": None, "at_box": 0.0}
    good = {"best_epoch": 1, "history": [{"settling": row}], "config": {"schedule": "even-odd"}}
    result = TrainResult(
        None, Accuracy(1, 2), Accuracy(1, 2), 1.0, 1.0, 1.0, Artifact(None, {**good, **edited} if edited else good)
    )
    told = dict(result.lines())
    assert ("settling" in told) == (not edited)
    assert "CPU time" in told


def test_an_edited_line_of_the_history_names_its_field():
    row = {"silent": "all", "half_steps": 3.0, "amplification": None, "at_box": 0.0}
    manifest = {"best_epoch": 1, "history": [{"settling": row}], "config": {}}
    result = TrainResult(None, Accuracy(1, 2), Accuracy(1, 2), 1.0, 1.0, 1.0, Artifact(None, manifest))
    with pytest.raises(UserError, match=r"manifest.*silent"):
        result.lines()
