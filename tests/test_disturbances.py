"""helpers.disturbances: each does what it says, to every image, and the same for the same generator."""

import pytest
import torch

from helpers.disturbances import add_neighbour, add_noise, occlude, relight, shade


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def images():
    return torch.rand(6, 1, 28, 28, generator=seeded()) * 0.8 + 0.1  # neither 0 nor 1


@pytest.mark.row("I2")
@pytest.mark.parametrize("side", [0, 1, 12, 28])
def test_occlusion_covers_exactly_one_square_of_each_image(images, side):
    covered = occlude(images, side, generator=seeded())
    for before, after in zip(images[:, 0], covered[:, 0]):
        places = (after == 0).nonzero()
        assert len(places) == side * side
        if side:
            assert ((places.max(dim=0).values - places.min(dim=0).values) == side - 1).all()
        assert torch.equal(after[after != 0], before[after != 0])


def test_occlusion_reaches_every_corner():
    many = torch.ones(500, 1, 6, 6)
    covered = (occlude(many, 3, generator=seeded()) == 0).any(dim=0)[0]
    assert covered.all()


@pytest.mark.row("I2")
def test_relighting_multiplies_adds_and_cuts_off(images):
    assert torch.equal(relight(images), images)
    assert torch.allclose(relight(images, contrast=0.5, brightness=0.1), 0.5 * images + 0.1)
    assert relight(images, brightness=2).min() == 1 and relight(images, brightness=-2).max() == 0


@pytest.mark.row("I1")
def test_shade_leaves_the_left_edge_and_lights_the_right(images):
    lit = shade(images, 1.0)
    assert torch.equal(lit[..., 0], images[..., 0])
    assert (lit[..., -1] == 1).all()


@pytest.mark.row("I2")
def test_noise_has_the_deviation_asked_for_and_stays_in_range():
    grey = torch.full((20, 1, 28, 28), 0.5)
    assert add_noise(grey, 0.1, generator=seeded()).std().item() == pytest.approx(0.1, rel=0.05)
    strong = add_noise(grey, 3, generator=seeded())
    assert strong.min() == 0 and strong.max() == 1
    assert torch.equal(add_noise(grey, 0, generator=seeded()), grey)


@pytest.mark.row("I1")
def test_a_neighbour_stands_to_the_right_and_the_brighter_pixel_wins(images):
    both = add_neighbour(images, images.roll(1, 0), 14)
    assert torch.equal(both[..., :14], images[..., :14])
    assert torch.equal(both[..., 14:], torch.maximum(images[..., 14:], images.roll(1, 0)[..., :14]))


@pytest.mark.parametrize("disturb", [occlude, add_noise], ids=["occlude", "add_noise"])
def test_the_same_generator_gives_the_same_images(images, disturb):
    first, second, other = (disturb(images, 5, generator=seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, second) and not torch.equal(first, other)


def test_what_is_no_batch_of_images_is_refused():
    with pytest.raises(ValueError, match=r"expected images of shape \(N, 1, height, width\), got \(28, 28\)"):
        relight(torch.zeros(28, 28))
    with pytest.raises(ValueError, match="from 0 to 28 pixels, got 29"):
        occlude(torch.zeros(1, 1, 28, 28), 29, generator=seeded())
