"""The attack bridge: shards, their union, crashes, refusals, and what the command line prints."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from shared_keys import ATTACK_KEYS

from neuro.base.errors import UserError
from sim.evaluate import load_run
from sim.reports.attack import write_attack_report
from sim.robustness.attacks.threats import Threat
from sim.robustness.bridge import run as bridge
from sim.robustness.bridge.config import AttackConfig
from sim.robustness.bridge.run import AttackRun, attack
from sim.robustness.bridge.stages import attack_stages
from sim.robustness.judging.shards import load_table, merge, save_table
from sim.robustness.judging.table import RobustnessTable
from sim.training.parallel.shards import do_shards

FEW = AttackConfig(attacks="noise,fgsm,pgd-10", eps=(0.1, 0.3), images=60)
# Where only the shards matter: at eps .5 every image can be grey, so that no stage is added for it.
SHARDED = replace(FEW, attacks="noise,pgd-10", eps=(0.5,))
Command = Callable[..., Any]


@pytest.fixture(scope="module")
def prepared(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a finished run with the perceptron whose adversarial images are transferred."""
    folder = Path(shutil.copytree(finished, tmp_path_factory.mktemp("attacked") / "run"))
    AttackRun(folder, FEW).prepare()
    return folder


@pytest.fixture
def run(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy that may be changed; shards of 25 images."""
    monkeypatch.setattr(bridge, "SHARD_IMAGES", 25)
    return Path(shutil.copytree(prepared, tmp_path / "run"))


def same(first: RobustnessTable, second: RobustnessTable) -> bool:
    """Whether two tables hold the same outcomes, image by image."""
    flags = ("attack", "model", "threat", "zero_gradient")
    return (
        first.clean_agreement == second.clean_agreement
        and np.array_equal(first.clean, second.clean)
        and [[getattr(o, f) for f in flags] for o in first.outcomes]
        == [[getattr(o, f) for f in flags] for o in second.outcomes]
        and all(
            np.array_equal(a.correct, b.correct) and np.array_equal(a.margin, b.margin)
            for a, b in zip(first.outcomes, second.outcomes, strict=True)
        )
    )


class Watcher:
    def __init__(self) -> None:
        self.shards: list[tuple[int, str]] = []

    def on_attack(self, shard: int, text: str) -> None:
        """Told what is being done."""

    def on_shard(self, shard: int, error: str) -> None:
        self.shards.append((shard, error))


def test_attacks_on_the_deployed_integers(run: Path) -> None:
    result = attack(run, FEW)
    found = result.to_json()
    assert found["n"] == 60
    assert list(found["robust"]) == ["0.1", "0.3"]
    assert found["clean"] >= found["robust"]["0.1"] >= found["robust"]["0.3"]
    assert found["robust"]["0.3"] < 0.5 < found["clean"]
    assert found["fidelity"] == 1.0
    for eps, by_attack in found["by_attack"].items():
        assert found["robust"][eps] <= min(by_attack.values())
    assert (result.folder / bridge.RESULT).is_file()
    assert set(result.table.threats) == {Threat("linf", 0.1), Threat("linf", 0.3), Threat("linf", 0.5)}


def test_the_smallest_changes_are_those_of_all_shards_and_are_drawn(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "STEPS", 5)
    job = AttackRun(run, AttackConfig(attacks="min-norm", eps=(0.5,), images=30))
    result = attack(run, job.config)
    assert set(result.table.smallest) == {"linf", "l2", "l1", "l0"}
    assert result.smallest is not None
    for norm, sizes in result.table.smallest.items():
        assert sizes.shape == (30,)
        assert np.array_equal(sizes == 0, ~result.table.clean)
        found = np.isfinite(sizes).mean()
        assert result.smallest[norm]["found"] == found > 0.5
        assert result.smallest[norm]["curve"][-1][1] == pytest.approx(1 - found)
    own = [o for o in result.table.outcomes if o.attack == "min-norm"]
    assert np.array_equal(own[0].correct, result.table.smallest["linf"] > 0.5)
    assert "smallest change, median" in str(result)
    assert "The smallest change that turns a label" in write_attack_report(job, result).read_text()


def test_a_shard_at_a_time_is_the_whole(run: Path, tmp_path: Path) -> None:
    job = AttackRun(run, SHARDED)
    assert (job.n_shards, job.missing()) == (3, [1, 2, 3])
    for shard in (3, 1, 2):
        job.do(shard)
    assert job.missing() == []
    other = Path(shutil.copytree(run, tmp_path / "other", ignore=shutil.ignore_patterns("shard-*")))
    assert same(attack(other, SHARDED).table, job.result().table)


def test_a_finished_shard_is_not_done_again(run: Path) -> None:
    job = AttackRun(run, SHARDED)
    job.do(2)
    before = job.path(2).stat().st_mtime_ns
    watcher = Watcher()
    do_shards(job, [1, 2, 3], 1, watcher)
    assert job.path(2).stat().st_mtime_ns == before
    assert sorted(watcher.shards) == [(1, ""), (2, ""), (3, "")]


def test_a_crash_loses_only_its_own_shard(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sim.training.parallel import shards as workers

    job = AttackRun(run, SHARDED)
    alone = workers._in_process
    in_process = lambda job, shard, running: "Killed" if shard == 2 else (job.do(shard), "")[1]  # noqa: E731
    monkeypatch.setattr(workers, "_in_process", in_process)
    with pytest.raises(UserError, match=r"shards \[2\] failed, the others are kept"):
        do_shards(job, [1, 2, 3], 2, Watcher())
    assert job.missing() == [2]
    with pytest.raises(UserError, match=r"shards \[2\] are missing"):
        job.result()
    monkeypatch.setattr(workers, "_in_process", alone)


@pytest.mark.timeout(200)
def test_a_worker_process_does_its_shard(prepared: Path, tmp_path: Path) -> None:
    from sim.training.parallel.shards import _in_process

    run = Path(shutil.copytree(prepared, tmp_path / "run"))
    job = AttackRun(run, replace(SHARDED, images=20))
    job.prepare()
    running = set()
    assert _in_process(job, 1, running) == ""
    assert not running
    assert job.missing() == []
    assert "shard 9 of 1" in _in_process(job, 9, set())


def test_other_weights_make_another_folder(run: Path) -> None:
    assert AttackRun(run, FEW).folder == AttackRun(run, FEW).folder
    assert AttackRun(run, FEW).folder != AttackRun(run, replace(FEW, seed=1)).folder


def test_tables_survive_the_disk(run: Path, tmp_path: Path) -> None:
    result = attack(run, replace(SHARDED, images=20))
    assert result.smallest is None
    table = replace(result.table, smallest={"l0": np.array([1.0, np.inf], np.float32)})
    save_table(tmp_path / "table.npz", table)
    assert same(load_table(tmp_path / "table.npz"), table)
    assert load_table(tmp_path / "table.npz").smallest["l0"].tolist() == [1.0, np.inf]
    (tmp_path / "table.npz").write_bytes((tmp_path / "table.npz").read_bytes()[:-40])
    with pytest.raises(UserError, match=r"table\.npz"):
        load_table(tmp_path / "table.npz")


def test_shards_of_other_attacks_are_refused(run: Path) -> None:
    first = attack(run, replace(SHARDED, images=20)).table
    second = attack(run, replace(SHARDED, images=20, attacks="noise")).table
    with pytest.raises(UserError, match="different attacks"):
        merge([first, second])


def test_symmetric_networks_are_attacked_along_their_own_gradients(run: Path) -> None:
    spec = load_run(run).spec
    assert spec.is_symmetric
    stages = attack_stages(spec, "pgd-10", (Threat("linf", 0.1),), {"flat": lambda x: torch.zeros(len(x), 3)})
    assert [list(stage.attacks) for stage in stages] == [["pgd-10"], ["local-40", "implicit-20"], ["fgsm", "pgd-20"]]


def test_stock_networks_are_attacked_through_their_twins(finished_stock: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished_stock, tmp_path / "run"))
    found = attack(run, AttackConfig(attacks="noise,pgd-10", eps=(0.5,), images=20)).to_json()
    assert found["robust"]["0.5"] < found["clean"]
    assert found["fidelity"] == 1.0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"eps": (1.5,)}, "eps 1.5"),
        ({"eps": (0.0,)}, "eps 0"),
        ({"eps": ()}, "eps"),
        ({"norm": "l1"}, "l1"),
        ({"attacks": "magic"}, "magic"),
        ({"attacks": "pgd-20,"}, "'pgd-20,': a name is missing"),
        ({"attacks": ""}, "a name is missing"),
        ({"score": "nope"}, "nope"),
        ({"seed": -1}, "seed -1"),
        ({"images": 0}, "images 0"),
        ({"device": "tpu"}, "tpu"),
    ],
)
def test_impossible_attacks_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        replace(FEW, **changes)


def test_a_suite_is_known_however_it_is_written() -> None:
    """Not as one of other attacks, without what the suite adds, and told as the suite in the verdict."""
    assert replace(FEW, attacks=" quick ").attacks == "quick"
    assert replace(FEW, attacks="standard, standard").attacks == "standard"
    assert replace(FEW, attacks="pgd-20 ,fgsm").attacks == "pgd-20,fgsm"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_named() -> None:
    with pytest.raises(UserError, match="0 CUDA devices"):
        replace(FEW, device="cuda")


def test_the_command_prints_one_json_object_and_a_page(command: Command, run: Path) -> None:
    words = ["attack", run, "--attacks", "noise,fgsm,pgd-10", "--eps", "0.1,0.5", "--images", 25, "--workers", 1]
    answer = command(*words, "--json")
    assert (answer.code, list(answer.json)) == (0, ATTACK_KEYS)
    assert "verdict" in answer.err
    page = next((run / "attacks").glob("*/attack.html")).read_text()
    assert "TOO FEW IMAGES TO JUDGE" in page
    assert "not measured" in page
    assert "<svg" in page


def test_parts_of_the_work_can_be_done_elsewhere(command: Command, run: Path) -> None:
    words = ["attack", run, "--attacks", "noise", "--eps", "0.5", "--images", 60, "--workers", 1, "--json"]
    assert command(*words, "--shard", "2/3").json == {"run": str(run), "missing": [1, 3], "shards": 3}
    assert command(*words).json["n"] == 60
    command(*words, "--shard", "4/3").refused("--shard 4/3")
    command(*words, "--shard", "1/9").refused("--shard 1/9")
    command(*words, "--shard", "a").refused("I/N")


def test_what_cannot_be_attacked_is_refused(command: Command, run: Path) -> None:
    command("attack", run, "--images", 91).refused("images 91")
    command("attack", run, "--eps", "2").refused("eps 2")
    command("attack", run, "--eps", "x").refused("--eps")
    command("attack", run, "--images", 30, "--workers", 0).refused("workers 0")
