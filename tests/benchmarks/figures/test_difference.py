"""What differs between two files of results is found, named, and told apart from timings."""

import pytest

from benchmarks.figures.difference import compare, is_timing


def test_equal_files_do_not_differ():
    content = {"rows": [{"seed": 0, "test_accuracy": 0.98, "train_cpu_s": 2.0}], "machine": {"cores": 2}}
    found = compare(content, {**content, "machine": {"cores": 64}, "date": "2026-01-01"})
    assert (found.figures, found.differences, found.missing) == (2, (), 0)
    assert found.timings == (1.0,)


def test_a_figure_that_moved_is_named_with_its_share():
    found = compare({"rows": [{"accuracy": 0.5}]}, {"rows": [{"accuracy": 0.6}]})
    (difference,) = found.differences
    assert str(difference) == "rows.0.accuracy: 0.5 -> 0.6 (20 %)"
    assert found.lines()[0] == "1 figures, 1 differ"


def test_a_timing_is_a_ratio_and_no_difference():
    found = compare({"train_cpu_s": 2.0, "latency": {"value": 1.0}}, {"train_cpu_s": 3.0, "latency": {"value": 2.0}})
    assert found.differences == ()
    assert sorted(found.timings) == [1.5, 2.0]


def test_a_modelled_cell_and_a_text_are_no_timings():
    cell = {"kind": "modelled", "low": 1.0, "high": 2.0, "sources": ["a"]}
    measured = {"kind": "measured", "value": 1.0, "meter": "clock of the host"}
    before = {"rows": [{"latency": cell, "throughput": measured}]}
    now = {"rows": [{"latency": {**cell, "high": 3.0}, "throughput": {**measured, "value": 2.0, "meter": "RAPL"}}]}
    found = compare(before, now)
    assert {difference.place for difference in found.differences} == {
        "rows.0.throughput.meter",
        "rows.0.latency (modelled).high",
    }
    assert found.timings == (2.0,)
    without = compare(before, {"rows": [{"latency": cell, "throughput": {**measured, "value": None}}]})
    assert [difference.place for difference in without.differences] == ["rows.0.throughput.value"]


def test_a_text_may_name_another_time_of_the_processor():
    before, now = {"note": "trained in 53.5 s of CPU time"}, {"note": "trained in 1,049.1 s of CPU time"}
    assert compare(before, now).differences == ()
    assert len(compare(before, {"note": "tried in 53.5 s of CPU time"}).differences) == 1


def test_what_is_missing_counts_unless_only_a_part_was_asked_for():
    before, now = {"a": 1, "rows": [1, 2]}, {"a": 1, "rows": [1]}
    assert compare(before, now).missing == 1
    assert compare(before, now, partial=True).missing == 0
    assert "1 not derived" in compare(before, now).lines()[0]


def test_means_over_other_seeds_are_left_out():
    before, now = {"rows": [0.5, 0.7], "mean": 0.6}, {"rows": [0.5], "mean": 0.5}
    assert len(compare(before, now, partial=True).differences) == 1
    assert compare(before, now, partial=True, left_out="^mean$").differences == ()


def test_floats_may_differ_in_the_order_of_their_sums_only():
    assert compare({"cosine": 0.5}, {"cosine": 0.5 + 1e-9}).differences == ()
    assert len(compare({"cosine": 0.5}, {"cosine": 0.5001}).differences) == 1
    assert len(compare({"verdict": True}, {"verdict": False}).differences) == 1


@pytest.mark.parametrize(
    "place",
    ["rows.0.train_cpu_s", "steps_per_s.lava", "rows.3.latency.value", "ratios.a/b", "batches.0.images_per_s",
     "compile.0.compile_s", "sizes.0.ns_per_operation", "rows.0.lava.lava_s_per_image", "load_average",
     "fixed_steps.cpu_s_per_1000_images.ours"],
)  # fmt: skip
def test_timings_are_recognised(place):
    assert is_timing(place)


@pytest.mark.parametrize(
    "place",
    ["rows.0.test_accuracy", "spikes_per_inference", "differences.spikes", "seeds", "rows.0.clean", "steps", "cosine",
     "compile.0.ratio", "rows.2.latency (modelled).low", "rows.0.counter (counted).value"],
)  # fmt: skip
def test_figures_are_no_timings(place):
    assert not is_timing(place)
