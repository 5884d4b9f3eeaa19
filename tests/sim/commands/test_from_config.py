"""Options of a command are those of its config class: names, help, defaults; what nobody gives is left to the class."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from benchmarks.bench.config import BenchConfig
from hardware.slayer.config import SlayerConfig
from neuro.base.checks import Range
from neuro.base.options import SEED, check_options, fill, option, settings_of
from neuro.spec.plasticity import MAX_SHADOW_BITS
from sim.backends.protocol import MAX_BATCH
from sim.coding.config import LcaConfig
from sim.commands.from_config import options_of
from sim.robustness.bridge.config import AttackConfig
from sim.training.config import TrainConfig


@dataclass(frozen=True, kw_only=True)
class Config:
    seed: int = SEED.default(7)
    hidden: tuple[int, ...] = option(None, "Layers.", Range(1), "from the task")
    rate: float | None = option(None, "Of learning.", flags=("--speed",))
    kind: str = option("soft", "Hard threshold.", flags=("--hard",), sets="hard")
    train: bool = option(True, "Inference only.", flags=("--no-train",), sets=False)
    centred: bool | None = option(None, "Subtract the mean.", flags=("--centred/--plain",))
    whole: bool = option(False, "All of it.")
    inner: int = option(3, "Of Python alone.", flags=())

    def __post_init__(self) -> None:
        fill(self, hidden=(64,))
        check_options(self)


def run(*words: str) -> Any:
    seen: list[Any] = []
    app = typer.Typer(rich_markup_mode=None)

    @app.command()
    @options_of(Config)
    def command(data: str = "digits", *, config: Config, last: bool = False) -> None:
        """Do it."""
        seen.append((data, config, last))

    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return seen[0] if seen else " ".join(result.output.split())


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ((), {}),
        (("--seed", "1"), {"seed": 1}),
        (("--hidden", "8,4"), {"hidden": (8, 4)}),
        (("--speed", "0.5"), {"rate": 0.5}),
        (("--hard",), {"kind": "hard"}),
        (("--no-train",), {"train": False}),
        (("--centred",), {"centred": True}),
        (("--plain",), {"centred": False}),
        (("--whole",), {"whole": True}),
    ],
    ids=str,
)
def test_what_is_given_reaches_the_config(words: tuple[str, ...], changes: dict[str, Any]) -> None:
    assert run(*words) == ("digits", Config(**changes), False)


def test_the_own_options_of_the_command_stay() -> None:
    assert run("--data", "mnist", "--last") == ("mnist", Config(), True)


def test_help_is_that_of_the_class() -> None:
    text = run("--help")
    assert "Do it." in text
    assert "Layers. (at least 1) [default: (from the task)]" in text
    assert "same seed, same result. (0..2**63 - 1) [default: 7]" in text
    assert "--inner" not in text
    assert "--config" not in text


@pytest.mark.parametrize("config_class", [TrainConfig, LcaConfig, SlayerConfig, AttackConfig, BenchConfig])
def test_every_option_has_a_help_and_a_default_that_it_allows(config_class: type) -> None:
    config = config_class()
    assert replace(config) == config
    for setting in settings_of(config_class):
        assert len(setting.help) > len(setting.name)
        value = getattr(config, setting.name)
        assert value == (setting.default if value is None else setting.checked(value))


def test_limits_of_a_training_are_those_of_the_network() -> None:
    limits = {setting.name: setting.option.within for setting in settings_of(TrainConfig)}
    assert limits["shadow_bits"] == Range(0, MAX_SHADOW_BITS)
    assert limits["batch_size"] == Range(1, MAX_BATCH)
