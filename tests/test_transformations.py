"""helpers.transformations: torchvision agrees, properties hold, bad input is named."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as torchvision_functional

from helpers import mnist
from helpers.transformations import affine, elastic, random_affine

BILINEAR = {"interpolation": InterpolationMode.BILINEAR}


@pytest.fixture(scope="module")
def digits():
    return mnist.load("test")[0][:16]


def make_images(number=4, channels=2, height=20, width=15, seed=0):
    return torch.rand(number, channels, height, width, generator=torch.Generator().manual_seed(seed))


SETTINGS = {
    "rotate": st.floats(-180, 180),
    "scale": st.floats(0.3, 3),
    "stretch": st.floats(0.3, 3),
    "shear": st.floats(-50, 50),
}


@pytest.mark.row("I2")
@settings(max_examples=200, deadline=None)
@given(
    rotate=SETTINGS["rotate"],
    scale=SETTINGS["scale"],
    shear=SETTINGS["shear"],
    right=st.integers(-6, 6),
    down=st.integers(-6, 6),
    height=st.integers(5, 30),
    width=st.integers(5, 30),
)
def test_torchvision_computes_the_same(rotate, scale, shear, right, down, height, width):
    images = make_images(height=height, width=width)
    ours = affine(images, translate=(right, down), rotate=rotate, scale=scale, shear=shear)
    # torchvision's affine turns clockwise.
    theirs = torchvision_functional.affine(
        images, angle=-rotate, translate=[right, down], scale=scale, shear=[shear, 0.0], **BILINEAR
    )
    # At a border a rounding decides between the edge and the outside, but only for the width of the rounding.
    assert (ours - theirs).abs().max() < 2e-3


@pytest.mark.parametrize("angle", [-170, -31.5, 45, 90, 180])
def test_rotation_is_counter_clockwise_as_torchvisions_rotate(digits, angle):
    theirs = torchvision_functional.rotate(digits, angle, **BILINEAR)
    assert torch.allclose(affine(digits, rotate=angle), theirs, atol=1e-4)


@pytest.mark.parametrize("turns", [-1, 1, 2, 3, 4])
def test_quarter_turns_agree_with_rot90(digits, turns):
    assert torch.allclose(affine(digits, rotate=90 * turns), torch.rot90(digits, turns, (2, 3)), atol=1e-4)


def test_the_identity_is_exact(digits):
    assert torch.equal(affine(digits), digits)
    mixed = affine(digits, rotate=torch.tensor([0.0, 30.0] * 8))
    assert torch.equal(mixed[::2], digits[::2]) and not torch.equal(mixed[1::2], digits[1::2])


@pytest.mark.row("I2")
@settings(max_examples=50, deadline=None)
@given(right=st.integers(-16, 16), down=st.integers(-16, 16))
def test_a_translation_by_whole_pixels_is_a_shift_and_zeros_come_in(right, down):
    images = make_images()
    height, width = images.shape[2:]
    shifted = torch.zeros_like(images)
    for y in range(height):
        for x in range(width):
            if 0 <= y - down < height and 0 <= x - right < width:
                shifted[:, :, y, x] = images[:, :, y - down, x - right]
    assert torch.allclose(affine(images, translate=(right, down)), shifted, atol=1e-4)


def test_half_a_pixel_is_the_mean_of_two():
    images = make_images()
    moved = affine(images, translate=(0.5, 0))
    assert torch.allclose(moved[..., 1:], (images[..., 1:] + images[..., :-1]) / 2, atol=1e-5)


@pytest.mark.parametrize("height, width", [(28, 28), (20, 36)])
def test_each_setting_moves_ink_where_its_description_says(height, width):
    dot = torch.zeros(1, 1, height, width)
    row, column = (height - 1) / 2, (width - 1) / 2  # the centre lies between four pixels
    dot[0, 0, int(row) - 3, int(column) + 1 + 2] = 1  # 3.5 up and 2.5 right of it

    def where(**transformation):
        moved = affine(dot, **transformation)[0, 0]
        rows, columns = torch.meshgrid(torch.arange(height) - row, torch.arange(width) - column, indexing="ij")
        return [(columns * moved).sum() / moved.sum(), (-rows * moved).sum() / moved.sum()]  # right, up

    assert where() == pytest.approx([2.5, 3.5])
    assert where(translate=(3, 2)) == pytest.approx([5.5, 1.5], abs=1e-3)
    assert where(rotate=90) == pytest.approx([-3.5, 2.5], abs=1e-3)
    assert where(scale=2) == pytest.approx([5, 7], abs=0.01)
    assert where(stretch=2) == pytest.approx([5, 3.5], abs=0.01)
    assert where(shear=45) == pytest.approx([6, 3.5], abs=0.01)  # the top goes to the right
    # Stretched first, then sheared, rotated, scaled; the translation is in pixels of the result.
    everything = where(stretch=2, shear=45, rotate=90, scale=0.8, translate=(1, -2))
    assert everything == pytest.approx([1 - 0.8 * 3.5, 2 + 0.8 * (2 * 2.5 + 3.5)], abs=0.35)


def smooth_images():
    # A blob well inside: interpolation hardly changes it, and nothing is lost at the border.
    places = torch.arange(40) - 19.5
    blob = torch.exp(-((places[:, None] - 2) ** 2) / 40 - (places - 1) ** 2 / 24)
    return blob.expand(3, 1, 40, 40)


@settings(max_examples=50, deadline=None)
@given(rotate=SETTINGS["rotate"], scale=st.floats(0.9, 1.5), right=st.floats(-3, 3), down=st.floats(-3, 3))
def test_the_inverse_brings_the_image_back(rotate, scale, right, down):
    images = smooth_images()
    there = affine(images, rotate=rotate, scale=scale, translate=(right, down))
    back = affine(affine(there, translate=(-right, -down)), rotate=-rotate, scale=1 / scale)
    # Each of the three interpolations cuts up to h²·|f''|/8 off the top of the blob: about 0.02.
    assert (back - images).abs().max() < 0.1


@pytest.mark.parametrize("setting, value, inverse", [("stretch", 1.4, 1 / 1.4), ("shear", 25, -25)])
def test_stretch_and_shear_have_inverses_too(setting, value, inverse):
    images = smooth_images()
    assert (affine(affine(images, **{setting: value}), **{setting: inverse}) - images).abs().max() < 0.05


def test_a_batch_is_each_image_by_itself():
    images, generator = make_images(number=6), torch.Generator().manual_seed(1)
    values = dict(zip(["rotate", "shear"], 40 * torch.rand(2, 6, generator=generator) - 20))
    values |= dict(zip(["scale", "stretch"], 0.5 + torch.rand(2, 6, generator=generator)))
    right, down = 4 * torch.rand(2, 6, generator=generator) - 2
    together = affine(images, translate=(right, down), **values)
    for n in range(6):
        own = {name: value[n].item() for name, value in values.items()}
        alone = affine(images[n : n + 1], translate=(right[n].item(), down[n].item()), **own)
        assert torch.allclose(together[n : n + 1], alone, atol=1e-5)


def test_channels_are_moved_alike_dtype_is_kept_and_gradients_flow():
    images = make_images(channels=3)
    moved = affine(images, rotate=20)
    assert torch.allclose(moved[:, 1:2], affine(images[:, 1:2], rotate=20))
    assert affine(images.double(), rotate=20).dtype == torch.float64
    images.requires_grad_()
    affine(images, rotate=20).sum().backward()
    assert images.grad.abs().sum() > 0


# ---- random transformations


@pytest.mark.row("I6")
@pytest.mark.parametrize("distort", [random_affine, elastic])
def test_random_distortions_differ_by_image_and_repeat_with_the_generator(digits, distort):
    twice = digits[:1].repeat(2, 1, 1, 1)
    first, second = distort(twice, torch.Generator().manual_seed(3))
    assert not torch.equal(first, second)
    again = distort(twice, torch.Generator().manual_seed(3))
    assert torch.equal(again, torch.stack([first, second]))
    torch.manual_seed(3)
    without_generator = distort(twice)
    assert torch.equal(without_generator, again)
    assert torch.equal(twice, digits[:1].repeat(2, 1, 1, 1))


@pytest.mark.row("I6")
@pytest.mark.parametrize("distort", [random_affine, elastic])
def test_random_distortions_keep_a_digit_a_digit(digits, distort):
    distorted = distort(digits, torch.Generator().manual_seed(0))
    assert distorted.shape == digits.shape and distorted.dtype == digits.dtype
    assert distorted.min() >= 0 and distorted.max() <= 1 + 1e-6
    assert distorted.sum() == pytest.approx(digits.sum().item(), rel=0.2)
    likeness = torch.cosine_similarity(distorted.flatten(1), digits.flatten(1))
    assert likeness.mean() > 0.4 and (likeness < 0.99).all()


@pytest.mark.parametrize(
    "setting, most, extreme",
    [("rotate", 30, lambda t: {"rotate": t}), ("shear", 20, lambda t: {"shear": t}),
     ("scale", 2, lambda t: {"scale": t}), ("stretch", 2, lambda t: {"stretch": t}),
     ("translate", 4, lambda t: {"translate": (t, t)})],
)  # fmt: skip
def test_random_affine_draws_each_setting_from_its_whole_range(monkeypatch, setting, most, extreme):
    from helpers import transformations

    asked = {}
    monkeypatch.setattr(transformations, "affine", lambda images, **settings: asked.update(settings) or images)
    off = {"translate": 0, "rotate": 0, "scale": 1, "stretch": 1, "shear": 0}
    transformations.random_affine(
        torch.zeros(5000, 1, 3, 3), torch.Generator().manual_seed(0), **{**off, setting: most}
    )
    for name, value in asked.items():
        for drawn in value if name == "translate" else [value]:
            if name != setting:
                assert (drawn == off[name]).all()
                continue
            low = 1 / most if name in ("scale", "stretch") else -most
            assert low <= drawn.min() < low + 0.02 * (most - low) and most - 0.02 * (most - low) < drawn.max() <= most
            middle = 1 if name in ("scale", "stretch") else 0
            assert (drawn > middle).float().mean() == pytest.approx(0.5, abs=0.03)


def test_elastic_moves_neighbours_alike_and_more_with_more_strength(digits):
    def moved(**settings):
        return (elastic(digits, torch.Generator().manual_seed(0), **settings) - digits).abs().mean().item()

    assert moved(strength=0) == pytest.approx(0, abs=1e-5)
    assert moved(strength=10) < moved(strength=34) < moved(strength=80)
    # A ramp shows the steps themselves: right of it is one brighter.
    ramp = torch.arange(28.0).expand(50, 1, 28, 28)
    steps = (elastic(ramp, torch.Generator().manual_seed(0)) - ramp)[:, 0, 6:-6, 6:-6]
    assert 0.8 < steps.std() < 2.2  # strength 34 and smoothness 4 come to about 1.4 pixels
    assert (steps[:, :, 1:] - steps[:, :, :-1]).std() < steps.std() / 3


# ---- errors


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"images": torch.zeros(1, 28, 28)}, TypeError, "shape (N, C, H, W), got torch.float32 of shape (1, 28, 28)"),
        ({"images": torch.zeros(1, 1, 28, 28).byte()}, TypeError, "expected floating-point images"),
        ({"images": [[0]]}, TypeError, "images must be a torch.Tensor, got list"),
        ({"scale": 0}, ValueError, "scale must be greater than 0 (1 changes nothing), got 0"),
        (
            {"stretch": torch.tensor([1.0, -2.0])},
            ValueError,
            "stretch must be greater than 0 (1 changes nothing), got -2",
        ),
        ({"shear": -90}, ValueError, "shear must be between -90 and 90 degrees, got -90"),
        ({"rotate": torch.zeros(3)}, ValueError, "rotate must be a number or a tensor of shape (2,), one for each"),
        ({"rotate": "left"}, TypeError, "rotate must be a number or a tensor of shape (2,), got 'left'"),
        ({"rotate": float("nan")}, ValueError, "rotate must be finite"),
        ({"translate": 3}, TypeError, "translate must be a pair (right, down), in pixels, got 3"),
        ({"translate": (1, None)}, TypeError, "translate (down) must be a number"),
    ],
)
def test_affine_names_what_is_wrong(change, error, message):
    with pytest.raises(error, match=re.escape(message)):
        affine(**{"images": torch.zeros(2, 1, 28, 28), **change})


def test_the_random_distortions_name_what_is_wrong():
    images = torch.zeros(2, 1, 28, 28)
    with pytest.raises(ValueError, match="scale is the largest factor, at least 1"):
        random_affine(images, scale=0.9)
    with pytest.raises(ValueError, match="smoothness must be greater than 0, got 0"):
        elastic(images, smoothness=0)
    for distort in (random_affine, elastic):
        with pytest.raises(TypeError, match="a single image is a batch of one"):
            distort(images[0])
