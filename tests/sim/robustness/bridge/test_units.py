"""Sizes of an attack in a user's own units; images that were rescaled are attacked as those prepared by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import settle
from neuro.base.errors import UserError
from neuro.data.raw import RawData
from neuro.data.sets import prepare
from sim.robustness.attacks.threats import Threat
from sim.robustness.bridge.config import AttackConfig
from sim.robustness.bridge.run import AttackRun
from sim.robustness.bridge.units import own_units, resolved

GENERATOR = np.random.default_rng(5)
LABELS = np.arange(150) % 3
BYTES = (GENERATOR.integers(0, 256, (3, 4, 4))[LABELS] * 0.7 + GENERATOR.integers(0, 77, (150, 4, 4))).astype(np.int64)
BYTES[:30, 0, :2] = 0, 255
TABLE = BYTES.reshape(150, 16)[:, :5] * [1.0, 0.01, 100.0, 5.0, 2.0]
QUICK = {"hidden": (16,), "epochs": 4, "learning_rate": 1.4, "output_share": 0.125, "progress": False}
DATA = AttackConfig(eps=(8.0,), eps_units="data", attacks="pgd-10", images=10)


def dataset(images):
    return prepare(RawData("mine", images, LABELS))


@pytest.mark.parametrize(
    ("images", "unit", "words"),
    [
        (BYTES, 255.0, "8 of 0..255"),
        (BYTES.astype(np.uint8), 255.0, "8 of 0..255"),
        (BYTES / 255 * 2 - 1, 2.0, "0.0627451 of -1..1"),
        ((BYTES / 255).astype(np.float32), 1.0, ""),
    ],
)
def test_one_unit_for_all_pixels(images, unit, words):
    data = dataset(images)
    found = resolved(replace(DATA, eps=(8 / 255 * unit,)), data)
    assert found.eps == pytest.approx((8 / 255,))
    assert found.eps_units == "pixel"
    assert own_units(found.threats[0], data) == words


def test_features_have_units_of_their_own():
    data = dataset(TABLE)
    with pytest.raises(UserError, match=r"every feature of mine has units of its own; .* 10.0% of each feature's"):
        resolved(DATA, data)
    width = data.preparation.rescaling.range.width
    words = own_units(Threat("linf", 0.25), data)
    assert words.startswith("25.0% of each feature's training range: +-")
    assert f"{width[0] / 4:.3g}, {width[1] / 4:.3g}" in words
    assert words.endswith(", .. (5 features)")
    assert "if it moves alone" in own_units(Threat("l2", 0.25), data)


def test_sizes_that_are_no_changes_are_refused():
    with pytest.raises(UserError, match="give --eps, too"):
        AttackConfig(eps_units="data")
    with pytest.raises(UserError, match=r"eps 2\.0 is outside"):
        resolved(replace(DATA, eps=(510.0,)), dataset(BYTES))
    with pytest.raises(UserError, match="eps_units 'metre' is unknown"):
        AttackConfig(eps_units="metre")


def test_as_many_images_as_there_are():
    assert resolved(AttackConfig(), dataset(BYTES)).images == 30
    assert resolved(AttackConfig(images=7), dataset(BYTES)).images == 7


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run on whole numbers 0..255, and one on the same images divided by hand."""
    folder = tmp_path_factory.mktemp("units")
    settle.train((BYTES, LABELS), out=folder / "rescaled", **QUICK)
    settle.train(((BYTES / 255).astype(np.float32), LABELS), out=folder / "by-hand", **QUICK)
    return folder


def test_an_attack_on_rescaled_data_is_that_on_data_prepared_by_hand_image_for_image(runs):
    jobs = [
        AttackRun(runs / "rescaled", replace(DATA, attacks="pgd-10")),
        AttackRun(runs / "rescaled", AttackConfig(attacks="pgd-10", eps=(8 / 255,), images=10)),
        AttackRun(runs / "by-hand", AttackConfig(attacks="pgd-10", eps=(8 / 255,), images=10)),
    ]
    assert jobs[0].folder == jobs[1].folder  # the same attack, said in two ways
    for job in jobs[1:]:
        job.do(1)
    rescaled, by_hand = (job.examples() for job in jobs[1:])
    assert {"clean", "linf 0.0313725"} <= set(rescaled) == set(by_hand)
    for name, images in rescaled.items():
        np.testing.assert_array_equal(images, by_hand[name])
    assert not np.array_equal(rescaled["clean"], rescaled["linf 0.0313725"])
    lines = jobs[0].result().lines()
    assert ("", "0.0313725 is 8 of 0..255") in lines
    assert ("verdict", "TOO FEW IMAGES TO JUDGE") in lines


def test_the_command_takes_fractions(command, runs):
    answer = command("attack", runs / "rescaled", "--attacks", "noise", "--eps", "8/255,1/10", "--images", 5, "--json")
    assert list(answer.json["robust"]) == ["0.0313725", "0.1"]
    assert answer.json["verdict"] == "TOO FEW IMAGES TO JUDGE"
    assert answer.json["reasons"] == ["5 images, at least 100 are needed"]
    command("attack", runs / "rescaled", "--eps", "8/0").refused("--eps '8/0'", "8/255")
