"""helpers.equivariance: convolutions are equivariant, exactly, wherever stride and padding let them be."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from helpers.equivariance import shift_error, shift_errors, shifted


def whole_numbers(*shape, seed=0):
    # Sums of products of small integers are exact in float64, so "equal" can mean equal.
    return torch.randint(-4, 5, shape, generator=torch.Generator().manual_seed(seed)).double()


def convolution(**options):
    layer = nn.Conv2d(2, 3, 3, dtype=torch.float64, **options)
    with torch.no_grad():
        layer.weight.copy_(whole_numbers(*layer.weight.shape, seed=1))
        layer.bias.copy_(whole_numbers(3, seed=2))
    return layer


@given(down=st.integers(-7, 7), right=st.integers(-7, 7))
def test_shifting_moves_every_cell_and_fills_with_zeros(down, right):
    images = whole_numbers(2, 5, 6) + 10  # no zeros of its own
    moved = shifted(images, down, right)
    for i in range(5):
        for j in range(6):
            inside = 0 <= i - down < 5 and 0 <= j - right < 6
            expected = images[:, i - down, j - right] if inside else torch.zeros(2, dtype=torch.float64)
            assert torch.equal(moved[:, i, j], expected)


def test_a_circular_shift_back_and_forth_changes_nothing():
    images = whole_numbers(1, 1, 5, 6)
    assert torch.equal(shifted(shifted(images, 2, -3, circular=True), -2, 3, circular=True), images)


def test_shifting_leaves_the_images_themselves_alone():
    images = whole_numbers(1, 1, 5, 6)
    before = images.clone()
    shifted(images, 1, 1)
    assert torch.equal(images, before)


@pytest.mark.row("I4")
@settings(max_examples=100, deadline=None)
@given(down=st.integers(-5, 5), right=st.integers(-5, 5), padding=st.integers(0, 2))
def test_a_convolution_is_exactly_equivariant_away_from_its_padding(down, right, padding):
    layer, images = convolution(padding=padding), whole_numbers(2, 2, 20, 20)
    assert shift_error(layer, images, down, right, border=padding) == 0


@pytest.mark.row("I4")
def test_zero_padding_breaks_equivariance_at_the_border():
    layer, images = convolution(padding=1), whole_numbers(1, 2, 20, 20)
    assert shift_error(layer, images, 3, 0, border=0) > 0
    assert shift_error(layer, images, 3, 0, border=1) == 0


@pytest.mark.row("I4")
def test_circular_padding_is_equivariant_under_all_shifts():
    layer, images = convolution(padding=1, padding_mode="circular"), whole_numbers(1, 2, 8, 8)
    assert shift_errors(layer, images, range(8), circular=True).abs().max() == 0


@pytest.mark.row("I4")
@pytest.mark.parametrize(
    "layer", [convolution(padding=1, stride=2, padding_mode="circular"), nn.MaxPool2d(2), nn.AvgPool2d(2)], ids=str
)
def test_with_stride_2_only_even_shifts_are_exact(layer):
    errors = shift_errors(layer, whole_numbers(1, 2, 8, 8), range(8), stride=2, circular=True)
    even = torch.arange(8) % 2 == 0
    assert torch.equal(errors == 0, even[:, None] & even)


def test_a_layer_that_is_not_equivariant_is_caught():
    ramp = torch.arange(20.0, dtype=torch.float64)
    assert shift_error(lambda images: images * ramp, whole_numbers(1, 1, 20, 20), 0, 3) > 0.1


def test_maps_that_are_zero_everywhere_have_no_error():
    assert shift_error(torch.zeros_like, whole_numbers(1, 1, 8, 8), 1, 1) == 0


def test_a_shift_that_leaves_nothing_to_compare_is_refused():
    with pytest.raises(ValueError, match="leave nothing of maps of 8×8"):
        shift_error(convolution(padding=1), whole_numbers(1, 2, 8, 8), 8, 0)
