"""helpers.finder: the grid is complete, crops show what lies under the box, and a perfect network finds every digit."""

import pytest
import torch
from helpers import mnist
from helpers.finder import (
    BACKGROUND,
    Found,
    Scene,
    compose_scene,
    count_found,
    crops,
    find,
    grid_boxes,
    judged,
    surer,
    training_crops,
)
from helpers.sizes import output_size
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision.ops import box_iou


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def digits():
    images, labels = mnist.load("test")
    return images[:300], labels[:300]


@pytest.mark.row("I5")
@settings(max_examples=50, deadline=None)
@given(height=st.integers(28, 90), width=st.integers(28, 90), side=st.integers(10, 28), step=st.floats(0.05, 1))
def test_the_grid_has_as_many_boxes_as_a_window_has_places(height, width, side, step):
    boxes = grid_boxes(height, width, (side,), step)
    by = max(1, round(step * side))
    assert len(boxes) == output_size(height, side, stride=by) * output_size(width, side, stride=by)
    assert boxes.min() >= 0 and (boxes[:, 2] <= width).all() and (boxes[:, 3] <= height).all()
    assert len(boxes.unique(dim=0)) == len(boxes)


def test_a_grid_without_a_box_is_refused():
    with pytest.raises(ValueError, match="no box of side 30 fits into a picture of 20×40"):
        grid_boxes(20, 40, (30, 50), 0.2)


@pytest.mark.row("I5")
def test_a_crop_of_28_pixels_is_the_picture_itself():
    picture = torch.rand(1, 60, 80, generator=seeded())
    # Bilinear sampling at two points a side in each cell blurs a little; a picture that is linear comes back as it is.
    ramp = torch.arange(80.0).expand(1, 60, 80) + torch.arange(60.0)[:, None]
    box = torch.tensor([[10.0, 20, 38, 48]])
    assert torch.allclose(crops(ramp, box)[0, 0], ramp[0, 20:48, 10:38], atol=1e-3)
    assert crops(picture, box.repeat(3, 1)).shape == (3, 1, 28, 28)


@pytest.mark.row("I5")
@pytest.mark.parametrize("seed", range(5))
def test_a_scene_holds_its_digits_inside_and_apart(digits, seed):
    scene = compose_scene(*digits, count=5, sizes=(24, 48), generator=seeded(seed))
    assert scene.picture.shape == (1, 96, 144) and 0 <= scene.picture.min() and scene.picture.max() <= 1
    sides = scene.boxes[:, 2:] - scene.boxes[:, :2]
    assert (sides >= 24).all() and (sides <= 48).all() and torch.equal(sides[:, 0], sides[:, 1])
    assert (box_iou(scene.boxes, scene.boxes) - torch.eye(5)).max() <= 0.05
    again = compose_scene(*digits, count=5, sizes=(24, 48), generator=seeded(seed))
    assert torch.equal(scene.picture, again.picture)


def test_too_many_digits_for_a_scene_are_refused(digits):
    with pytest.raises(ValueError, match="no place for 50 digits"):
        compose_scene(*digits, count=50, sizes=(40, 48), generator=seeded())


class Knows(nn.Module):
    """Sure of the right digit for the crops it was told, and of the background for all others."""

    def __init__(self, picture, boxes, labels):
        super().__init__()
        self.crops, self.labels = crops(picture, boxes), labels

    def forward(self, images):
        scores = torch.zeros(len(images), 11)
        scores[:, BACKGROUND] = 20
        same = (images[:, None] == self.crops).flatten(2).all(dim=2)
        for crop, label in same.nonzero().tolist():
            scores[crop] = torch.eye(11)[self.labels[label]] * (5 + label)
        return scores


@pytest.mark.row("I5")
def test_a_network_that_knows_the_boxes_finds_every_digit_once(digits):
    scene = compose_scene(*digits, sizes=(28, 28), generator=seeded(3))
    found = find(Knows(scene.picture, scene.boxes, scene.labels), scene.picture, sizes=(28,), step=1 / 28)
    assert count_found(found, scene) == (len(scene.labels), 0)
    assert found.tried == (96 - 27) * (144 - 27)


def test_of_overlapping_boxes_only_the_surest_is_kept():
    picture = torch.rand(1, 40, 40, generator=seeded())
    boxes = torch.tensor([[0.0, 0, 28, 28], [2, 0, 30, 28], [12, 12, 40, 40]])
    found = find(Knows(picture, boxes, torch.tensor([3, 5, 7])), picture, sizes=(28,), step=1 / 28, overlap=0.3)
    assert set(found.labels.tolist()) == {5, 7}


def test_counting_needs_the_right_label_and_a_box_that_fits():
    scene = Scene(torch.zeros(1, 50, 100), torch.tensor([[0.0, 0, 30, 30], [60, 10, 90, 40]]), torch.tensor([4, 7]))

    def count(boxes, labels):
        return count_found(Found(torch.tensor(boxes), torch.tensor(labels), torch.ones(len(labels)), 0), scene)

    first, second = [0.0, 0, 30, 30], [62.0, 10, 92, 40]
    assert count([first, second], [4, 7]) == (2, 0)
    assert count([first, second], [4, 1]) == (1, 1)
    assert count([first, first], [4, 4]) == (1, 1)  # a second box on the same digit
    assert count([[20.0, 0, 50, 30]], [4]) == (0, 1)
    twice = Found(torch.tensor([first, first, second]), torch.tensor([4, 4, 7]), torch.ones(3), 0)
    assert judged(twice, scene) == [True, False, True]


@pytest.mark.row("I5")
def test_surer_is_what_a_higher_threshold_would_have_found():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    settings = {"sizes": (28,), "step": 0.1, "overlap": 0.2}
    picture = torch.rand(1, 60, 60)
    low = find(network, picture, threshold=0.1, **settings)
    middle = low.probabilities.median().item()
    high = find(network, picture, threshold=middle, **settings)
    assert 0 < len(high.labels) < len(low.labels)
    for part, whole in zip(surer(low, middle), high):
        assert torch.equal(torch.as_tensor(part), torch.as_tensor(whole))


@pytest.mark.row("I5")
def test_training_crops_are_digits_that_fit_and_boxes_that_do_not(digits):
    images, labels = training_crops(*digits, scenes=3, tolerance=0, generator=seeded(), copies=2, misses=20, count=4)
    assert images.shape[1:] == (1, 28, 28) and len(images) == len(labels)
    hits = labels != BACKGROUND
    assert hits.sum() == 3 * 4 * 2 and 10 < (~hits).sum() <= 3 * 20
    assert labels.min() >= 0 and labels.max() == BACKGROUND
