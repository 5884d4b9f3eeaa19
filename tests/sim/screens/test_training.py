"""What the screen of a training shows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sim.screens.training import TrainScreen


def trainer(remark: str) -> Any:
    done = SimpleNamespace(epoch=0, position=0)
    return SimpleNamespace(session=SimpleNamespace(remark=remark), n_epochs=2, n_images=10, progress=done)


@pytest.mark.parametrize(("remark", "times"), [("cuda computes by Triton kernels", 1), ("", 0)])
def test_how_a_device_computes_is_told_once(remark: str, times: int, capsys: pytest.CaptureFixture[str]) -> None:
    with TrainScreen() as screen:
        for stage in ("fit", "refit"):
            screen.on_stage(stage, trainer(remark))
    told = capsys.readouterr()
    assert (told.out + told.err).count("device: cuda computes by Triton kernels") == times
    assert (told.out + told.err).count("device:") == times
