"""What sessions share: numbered images, refusals in one place, rates of the right kind."""

import numpy as np
import pytest

from neuro.base.errors import UserError
from neuro.equilibrium.lif import StockDesign, build_stock_network
from neuro.spec.plasticity import Rate
from sim.backends.presentation import Lesson, Presentation, nudge_signs
from sim.backends.protocol import REGISTRY, get_backend
from sim.backends.session import SigmaDeltaSession
from sim.contract.sigma_delta import random_images, random_rates, random_spec

STOCK = build_stock_network(StockDesign((2, 2), 2, (3,)), seed=0)


def shown(n, targets=True, kind=Presentation):
    return kind(np.arange(n)[:, None], np.arange(n)[:, None] * 10 if targets else None, 7, 100, False, True)


@pytest.mark.parametrize("kind", [Presentation, Lesson])
def test_batches_hold_every_image_once_and_keep_its_number(kind):
    parts = list(shown(7, kind=kind).batches(3))
    assert [len(part) for part in parts] == [3, 3, 1]
    assert [part.first_image for part in parts] == [100, 103, 106]
    assert all(type(part) is kind and part.seed == 7 and part.keep_spikes for part in parts)
    np.testing.assert_array_equal(np.concatenate([part.payloads for part in parts]), shown(7).payloads)
    np.testing.assert_array_equal(np.concatenate([part.targets for part in parts]), shown(7).targets)


def test_no_images_are_one_empty_batch():
    (empty,) = shown(0, targets=False).batches(4)
    assert len(empty) == 0
    assert empty.targets is None


def test_the_signs_of_a_part_are_those_of_the_whole():
    spec = random_spec(3)
    whole = nudge_signs(spec, 5, 20, 9)
    np.testing.assert_array_equal(nudge_signs(spec, 5, 24, 3), whole[4:7])


class Silent(SigmaDeltaSession):
    backend, refusal = "silent", "cannot learn; train elsewhere"

    def _present(self, shown):
        raise NotImplementedError


def test_a_session_that_does_not_learn_refuses_all_of_it_in_the_same_words():
    spec = random_spec(0)
    images, rates = random_images(spec, 0, 2), random_rates(spec, 0)
    with Silent(spec) as session:
        for call in (
            lambda: session.learn(*images, rates, seed=0, first_image=0),
            session.full_weights,
            lambda: session.restore({}),
        ):
            with pytest.raises(UserError, match=r"^backend silent: cannot learn; train elsewhere$"):
                call()


def test_rates_of_the_other_family_are_refused():
    rules = {p.name: p.rule for p in STOCK.plastic}
    spec = next(spec for spec in map(random_spec, range(99)) if spec.plastic)
    images = random_images(spec, 0, 2)
    wrong = dict.fromkeys((p.name for p in spec.plastic), next(iter(rules.values())))
    with get_backend("events").open(spec, threads=1) as session, pytest.raises(UserError, match="learn with a Rate"):
        session.learn(*images, wrong, seed=0, first_image=0)
    payloads, targets = np.zeros((1, 4), dtype=np.int16), np.array([[1, 0]])
    with get_backend("chip").open(STOCK) as session, pytest.raises(UserError, match="rules of the learning engine"):
        session.learn(payloads, targets, dict.fromkeys(rules, Rate(1, 4)), seed=0, first_image=0)


@pytest.mark.parametrize("name", sorted(set(REGISTRY) - {"lava", "loihi2"}))
def test_every_backend_refuses_options_out_of_range(name):
    backend = get_backend(name)
    network = random_spec(0) if "sigma-delta" in backend.capabilities.families else STOCK
    for options in ({"threads": 0}, {"batch_size": 0}, {"batch_size": 4097}):
        with pytest.raises(UserError, match=f"backend {name}: {next(iter(options))}"):
            backend.open(network, **options)
    if not backend.capabilities.batches:
        with pytest.raises(UserError, match="one image at a time"):
            backend.open(network, batch_size=2)
