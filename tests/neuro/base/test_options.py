import argparse
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pytest

from neuro.base.checks import Range
from neuro.base.errors import UserError
from neuro.base.options import SEED, add_arguments, check_options, option, settings_of


@dataclass(frozen=True, kw_only=True)
class Config:
    seed: int = SEED.default(0)
    hidden: tuple[int, ...] = option((64,), "Hidden layers.", Range(1))
    rate: float | None = option(None, "Of learning.", Range(0.0, 1.0, open_below=True), "by trial")
    kind: str = option("soft", "Kind of threshold.", choices={"soft": "", "hard": "like l0"}, flags=("--shape",))
    centred: bool | None = option(None, "Subtract the mean.", flags=("--centred/--plain",))
    devices: tuple[str, ...] = option(("cpu",), "Where.", called="device", choices={"cpu": "", "cuda": ""})
    inner: int = 7

    def __post_init__(self) -> None:
        check_options(self, "net")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": -1}, "net: seed -1 outside 0..2**63 - 1"),
        ({"seed": 1.5}, "net: seed 1.5 must be an integer"),
        ({"seed": None}, "net: seed None must be an integer"),
        ({"seed": True}, "net: seed True must be an integer"),
        ({"hidden": (8, 0)}, "net: hidden 0; give at least 1"),
        ({"hidden": "64"}, "net: hidden '64' must be an integer"),
        ({"rate": 0}, "net: rate 0.0 outside (0, 1]"),
        ({"rate": float("nan")}, "net: rate nan outside (0, 1]"),
        ({"rate": "fast"}, "net: rate 'fast': give a number"),
        ({"kind": "sof"}, "net: kind 'sof' is unknown; did you mean soft? choose one of soft, hard"),
        ({"centred": "no"}, "net: centred 'no': give True or False"),
        ({"devices": ("cpu", "abacus")}, "net: device 'abacus' is unknown; choose one of cpu, cuda"),
    ],
    ids=str,
)
def test_what_a_field_does_not_allow_is_refused_by_its_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as refused:
        Config(**changes)
    assert str(refused.value) == message


def test_values_take_the_types_of_their_fields() -> None:
    config = Config(seed=np.int64(3), hidden=[64, np.int32(32)], rate=np.float32(0.5), devices="cuda", inner=8)
    assert asdict(config) == {
        "seed": 3, "hidden": (64, 32), "rate": 0.5, "kind": "soft", "centred": None, "devices": ("cuda",), "inner": 8,
    }  # fmt: skip
    assert [type(value) for value in (config.seed, config.hidden[1], config.rate)] == [int, int, float]
    assert Config(hidden=16).hidden == (16,)


def test_help_names_choices_and_limits() -> None:
    settings = {setting.name: setting for setting in settings_of(Config)}
    assert list(settings) == ["seed", "hidden", "rate", "kind", "centred", "devices"]  # inner is no option
    assert settings["hidden"].help == "Hidden layers. (at least 1)"
    assert settings["rate"].help == "Of learning. (0, 1]"
    assert settings["kind"].help == "Kind of threshold: soft, hard (like l0)."
    assert settings["centred"].help == "Subtract the mean."


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_arguments(parser, Config, hidden=(128,), rate=None, kind="hard")
    return parser.parse_args(words)


def test_a_parser_takes_the_options_that_are_named() -> None:
    assert vars(parsed()) == {"hidden": (128,), "rate": None, "kind": "hard"}
    assert vars(parsed("--hidden", "8,4", "--rate", ".5", "--shape", "soft")) == {
        "hidden": (8, 4), "rate": 0.5, "kind": "soft",
    }  # fmt: skip


def test_help_of_a_parser_says_its_own_default_or_what_none_stands_for() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser, Config, hidden=(128, 64), rate=None)
    text = " ".join(parser.format_help().split())
    assert "Hidden layers. (at least 1) Default: 128,64." in text
    assert "Of learning. (0, 1] Default: by trial." in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--hidden", "8,x"), "--hidden '8,x': give whole numbers separated by commas, e.g. 256,128"),
        (("--hidden", "0"), "hidden 0; give at least 1"),
        (("--rate", "2"), "rate 2.0 outside (0, 1]"),
        (("--rate", "fast"), "--rate 'fast': give a number"),
        (("--shape", "round"), "kind 'round' is unknown; choose one of soft, hard"),
    ],
)
def test_a_parser_refuses_what_the_class_refuses(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(argparse.ArgumentError) as refused:
        parsed(*words)
    assert refused.value.message == message
