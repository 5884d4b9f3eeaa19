"""Two front ends in a row: the second takes what the first gives; files, names, refusals."""

import numpy as np
import pytest

from neuro.base.errors import UserError
from neuro.coding.fixed import fixed_network
from neuro.front_ends.named import fixed_front, front_arrays, front_from_json, front_to_json, is_fixed, name_of, stated

BOTH = "dn:pool=3+v1:channels=4+3,stride=2,kernel=5,window=1"
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 9, 8, 3), dtype=np.uint8)


def test_the_second_takes_what_the_first_gives_as_bytes():
    both, first = fixed_front(BOTH, (9, 8, 3)), fixed_front("dn:pool=3", (9, 8, 3))
    second = fixed_front(BOTH.partition("+")[2], (9, 8, 3))
    between = np.minimum(first.encode(PIXELS).astype(int) * 2, 255).astype(np.uint8).reshape(PIXELS.shape)
    np.testing.assert_array_equal(both.encode(PIXELS), second.encode(between))
    assert (both.shape, both.window, both.limit) == (second.shape, 16, second.limit)
    assert both.fields.shape == (216, int(np.prod(both.shape)))


def test_both_come_back_from_a_file():
    both = fixed_front(BOTH, (9, 8, 3), seed=4)
    written, arrays = front_to_json(both), front_arrays(both)
    for _ in range(2):  # reading changes nothing
        back = front_from_json(written, arrays)
        np.testing.assert_array_equal(back.encode(PIXELS), both.encode(PIXELS))
        assert back.text == both.text


def test_a_row_has_the_name_of_its_first_and_states_all_choices():
    assert is_fixed(BOTH)
    assert name_of(BOTH) == "dn"
    assert stated("dn+v1:window=0").startswith("dn:pool=5,sigma=26+v1:channels=32+32,stride=4,window=0")
    assert not is_fixed("dn+runs/coder")


def test_what_cannot_follow_is_refused():
    with pytest.raises(UserError, match="the first draws spikes"):
        fixed_front("v1:kernel=5+dn:pool=1", (9, 9))
    with pytest.raises(UserError, match="front end 'v2' is unknown"):
        fixed_front("dn+v2", (9, 9))
    for text in ("fovea+v1", "dn+fovea"):
        with pytest.raises(UserError, match="only v1 and dn go in a row"):
            fixed_network(text, (9, 9))
    with pytest.raises(UserError, match="a coder takes images"):
        fixed_network("dn", (9, 9))
