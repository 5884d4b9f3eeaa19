"""What stands between us and the libraries: image layouts, models without gradients, packages that are missing."""

from __future__ import annotations

import pytest
import torch

from neuro.base.errors import UserError
from sim.robustness.attacks import libraries
from sim.robustness.attacks.libraries import AutoAttack, DeepFool, FastAdaptiveBoundary, finish, load
from sim.robustness.attacks.search import Search
from sim.robustness.attacks.threats import Threat


@pytest.mark.parametrize(
    ("shape", "planar"), [((16,), (1, 4, 4)), ((12,), (1, 1, 12)), ((3, 5), (1, 3, 5)), ((3, 5, 2), (2, 3, 5))]
)
def test_layouts_go_there_and_back(shape, planar):
    images = torch.rand(4, *shape)
    model = libraries.Planar(lambda x: x.flatten(1), torch.Size(shape))
    planes = model.to_planes(images)
    assert planes.shape == (4, *planar)
    assert torch.equal(model(planes), images.flatten(1))


def test_a_missing_package_is_named_with_its_remedy():
    with pytest.raises(UserError, match=r"nosuchpackage is not installed; run `pip install settle\[robustness\]`"):
        load("nosuchpackage.attacks")


@pytest.mark.parametrize("attack", [DeepFool(5), FastAdaptiveBoundary(5), AutoAttack(("apgd-ce",))])
def test_a_model_without_any_gradient_is_no_error(attack, digits):
    def deaf(images):
        return digits.perceptron((images > 0.5).float())

    images, labels = digits.images[:10], digits.labels[:10]
    found = attack(deaf, images, labels, Threat("linf", 0.01), 0)
    assert found.zero_gradient.clean_images == 1.0


def test_what_a_library_found_is_cut_to_the_threat_and_stretched_to_it(digits):
    threat = Threat("l2", 0.5)
    search = Search(digits.perceptron, digits.images, digits.labels, threat)
    direction = torch.zeros_like(digits.images)
    direction[:, 4, 4] = -1e-3
    nan = direction.clone()
    nan[0] = torch.nan
    found = finish(search, digits.images + nan)
    moved = ~found.returned_clean
    size = (found.images - digits.images)[moved].flatten(1).norm(dim=1)
    room = digits.images[moved][:, 4, 4].clamp(max=0.5)
    torch.testing.assert_close(size, room, atol=1e-4, rtol=1e-3)
    assert bool(found.returned_clean[0])


def test_autoattack_needs_four_classes():
    with pytest.raises(UserError, match="classes"):
        AutoAttack()(lambda x: x.flatten(1), torch.zeros(2, 3), torch.zeros(2), Threat("linf", 0.1), 0)
