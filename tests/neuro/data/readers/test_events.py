from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.data.readers.events import event_counts
from neuro.data.readers.objects import raw_of

law = settings(max_examples=60, deadline=None)
SENSOR = (5, 4, 2)
TYPE = np.dtype([("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", np.int8)])
events = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(0, 10**6), st.integers(0, 1)), max_size=40
)


def array(entries):
    return np.array(entries, TYPE)


def counts(entries):
    return event_counts(array(entries), SENSOR, "here")


@law
@given(events)
def test_every_event_counts_once_at_its_place(entries):
    expected = np.zeros((4, 5, 2), np.int64)
    for x, y, _, p in entries:
        expected[y, x, p] += 1
    np.testing.assert_array_equal(counts(entries), expected)


@law
@given(events, st.randoms(use_true_random=False))
def test_neither_order_nor_time_matter(entries, random):
    shuffled = [(x, y, random.randrange(100), p) for x, y, _, p in entries]
    random.shuffle(shuffled)
    np.testing.assert_array_equal(counts(entries), counts(shuffled))


@law
@given(events, events)
def test_counts_of_two_recordings_add(first, second):
    np.testing.assert_array_equal(counts(first + second), counts(first) + counts(second))


def test_polarities_of_minus_one_are_the_first_and_axes_of_one_are_left_out():
    entries = array([(0, 0, 0, -1), (0, 0, 1, 1), (0, 0, 2, 1)])
    assert event_counts(entries, SENSOR, "here")[0, 0].tolist() == [1, 2]
    assert event_counts(entries, (5, 4, 1), "here").shape == (4, 5)
    assert event_counts(entries[["x", "t"]], (700, 1, 1), "here").shape == (700,)


@pytest.mark.parametrize("entry", [(5, 0, 0, 0), (0, 4, 0, 0), (-1, 0, 0, 0), (0, 0, 0, 2)])
def test_events_beside_the_sensor_are_refused(entry, refused):
    with refused("here", "outside", "sensor_size"):
        event_counts(array([entry]), SENSOR, "here")


class Recordings:
    """As a data set of tonic: events and a label."""

    sensor_size = SENSOR

    def __len__(self):
        return 12

    def __getitem__(self, index):
        return array([(index % 5, index % 4, 0, index % 2)] * (index + 1)), index % 3


def test_a_data_set_of_events_gives_counts_and_says_how():
    raw = raw_of((Recordings(), Recordings()))
    assert raw.x_train.shape == raw.x_test.shape == (12, 4, 5, 2)
    assert raw.x_train.sum(axis=(1, 2, 3)).tolist() == list(range(1, 13))
    assert raw.notes == (
        "events of a whole recording are counted for each of 5 x 4 pixels and 2 polarities; when they came is not used",
    )


def test_a_data_set_that_does_not_say_its_sensor_is_refused(refused):
    data = Recordings()
    data.sensor_size = None
    with refused("sensor_size", "polarities"):
        raw_of(data)
