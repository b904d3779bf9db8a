"""helpers.sizes: exact sizes, as torch has them."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision import models

from helpers.sizes import output_size, parameter_count


@settings(max_examples=1000, deadline=None)
@given(
    input_size=st.integers(1, 60),
    kernel_size=st.integers(1, 12),
    stride=st.integers(1, 9),
    padding=st.integers(0, 9),
    dilation=st.integers(1, 5),
)
def test_output_size_is_that_of_torch_and_fails_where_torch_fails(input_size, kernel_size, stride, padding, dilation):
    # On the meta device torch computes shapes and nothing else.
    layer = nn.Conv2d(1, 1, (kernel_size, 1), (stride, 1), (padding, 0), (dilation, 1), device="meta")
    images = torch.empty(1, 1, input_size, 1, device="meta")
    try:
        expected = layer(images).shape[2]
    except RuntimeError:
        with pytest.raises(ValueError, match="smaller kernel or dilation, or more padding"):
            output_size(input_size, kernel_size, stride, padding, dilation)
    else:
        assert output_size(input_size, kernel_size, stride, padding, dilation) == expected


@settings(max_examples=300, deadline=None)
@given(
    input_size=st.integers(1, 40),
    kernel_size=st.integers(1, 8),
    stride=st.integers(1, 5),
    padding=st.integers(0, 4),
    dilation=st.integers(1, 3),
)
def test_output_size_counts_the_places_where_the_kernel_fits(input_size, kernel_size, stride, padding, dilation):
    cells = range(-padding, input_size + padding)
    places = [start for start in cells[::stride] if start + dilation * (kernel_size - 1) in cells]
    if places:
        assert output_size(input_size, kernel_size, stride, padding, dilation) == len(places)
    else:
        with pytest.raises(ValueError):
            output_size(input_size, kernel_size, stride, padding, dilation)


@settings(max_examples=100, deadline=None)
@given(
    in_channels=st.integers(1, 8),
    out_channels=st.integers(1, 8),
    kernel_size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    bias=st.booleans(),
)
def test_the_bill_of_a_convolution_is_its_kernels_and_one_bias_each(in_channels, out_channels, kernel_size, bias):
    layer = nn.Conv2d(in_channels, out_channels, kernel_size, bias=bias, device="meta")
    height, width = kernel_size
    assert parameter_count(layer) == out_channels * (in_channels * height * width + bias)


@pytest.mark.parametrize(
    "arguments, size",
    [
        ((32, 5), 28),
        ((7, 3, 1), 5),
        ((7, 3, 2), 3),
        ((7, 3, 3), 2),  # the last row is never looked at
        ((32, 5, 1, 2), 32),
        ((7, 7), 1),
    ],
)
def test_output_size_gives_the_sizes_of_the_lecture(arguments, size):
    assert output_size(*arguments) == size


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"kernel_size": 0}, ValueError, "kernel_size must be at least 1, got 0"),
        ({"stride": 0}, ValueError, "stride must be at least 1, got 0"),
        ({"dilation": -1}, ValueError, "dilation must be at least 1, got -1"),
        ({"padding": -1}, ValueError, "padding must be at least 0, got -1"),
        ({"input_size": 0, "padding": 2}, ValueError, "input_size must be at least 1, got 0"),  # as torch says
        ({"kernel_size": 8}, ValueError, "the kernel covers 8 cells but the padded input has only 7"),
        ({"dilation": 4}, ValueError, "the kernel covers 9 cells but the padded input has only 7"),
        ({"kernel_size": 10, "padding": 1}, ValueError, "the kernel covers 10 cells but the padded input has only 9"),
        ({"kernel_size": (3, 3)}, TypeError, "kernel_size must be an integer, got (3, 3)"),
        ({"padding": "same"}, TypeError, "padding must be an integer, got 'same'"),
        ({"stride": 2.0}, TypeError, "stride must be an integer, got 2.0"),
        ({"input_size": True}, TypeError, "input_size must be an integer, got True"),
    ],
)
def test_output_size_names_what_is_wrong(arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        output_size(**{"input_size": 7, "kernel_size": 3, **arguments})


def test_parameter_count_knows_the_networks_of_the_lecture_and_of_the_literature():
    net = nn.Sequential(
        nn.Conv2d(3, 6, 5), nn.Conv2d(6, 16, 5), nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)
    )
    assert parameter_count(net) == 62_006
    assert parameter_count(nn.Conv2d(3, 10, 5)) == 760
    assert parameter_count(nn.Linear(784, 10)) == 7_850
    assert parameter_count(nn.Sequential(nn.ReLU(), nn.MaxPool2d(2))) == 0
    with torch.device("meta"):
        assert parameter_count(models.resnet18()) == 11_689_512  # the number torchvision publishes
        assert parameter_count(models.vgg16()) == 138_357_544


def test_a_parameter_that_two_layers_share_counts_once():
    first, second = nn.Linear(8, 8), nn.Linear(8, 8)
    second.weight = first.weight
    assert parameter_count(nn.Sequential(first, second, first)) == 64 + 8 + 8


def test_frozen_parameters_count_unless_only_trainable_ones_are_asked_for():
    network = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    network[0].requires_grad_(False)
    assert parameter_count(network) == 15 + 8
    assert parameter_count(network, trainable_only=True) == 8


def test_buffers_are_not_learned_and_do_not_count():
    assert parameter_count(nn.BatchNorm2d(6)) == 12


@pytest.mark.parametrize("wrong", [nn.Linear, [nn.Linear(2, 2)], torch.zeros(3), None])
def test_parameter_count_refuses_what_is_no_network(wrong):
    with pytest.raises(TypeError, match="parameter_count needs a torch.nn.Module, got"):
        parameter_count(wrong)


def test_parameter_count_says_so_when_a_lazy_layer_does_not_know_its_size_yet():
    with pytest.raises(ValueError, match="uninitialized"):
        parameter_count(nn.LazyLinear(10))
