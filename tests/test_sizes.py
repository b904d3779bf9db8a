"""helpers.sizes: exact sizes, as torch has them."""

import math
import os
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision import models

from helpers.sizes import Solutions, cells_left_over, output_size, parameter_count, solve_size

SETTINGS = int(os.environ.get("SIZE_SETTINGS", "500"))  # SIZE_SETTINGS=5000 draws ten times as many
settings_of_one_side = dict(
    kernel_size=st.integers(1, 12),
    stride=st.integers(1, 9),
    padding=st.integers(0, 9),
    dilation=st.integers(1, 5),
)


@pytest.mark.row("S2", "S6")
@settings(max_examples=SETTINGS, deadline=None)
@given(input_size=st.integers(1, 60), **settings_of_one_side)
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


@settings(max_examples=SETTINGS, deadline=None)
@given(size=st.integers(1, 40), kernel_size=st.integers(1, 8), stride=st.integers(1, 5), data=st.data())
def test_output_size_is_that_of_pooling_too(size, kernel_size, stride, data):
    padding = data.draw(st.integers(0, kernel_size // 2), "padding")  # torch's pooling takes no more
    images = torch.empty(1, 1, size, size, device="meta")
    for pooling in (nn.MaxPool2d, nn.AvgPool2d):
        try:
            expected = pooling(kernel_size, stride, padding)(images).shape[2]
        except RuntimeError:
            with pytest.raises(ValueError):
                output_size(size, kernel_size, stride, padding)
        else:
            assert output_size(size, kernel_size, stride, padding) == expected


@pytest.mark.row("S2")
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


@pytest.mark.row("S1")
@settings(max_examples=SETTINGS, deadline=None)
@given(input_size=st.integers(1, 30), **settings_of_one_side)
def test_the_cells_left_over_are_those_behind_the_last_cell_that_has_a_gradient(
    input_size, kernel_size, stride, padding, dilation
):
    padded = input_size + 2 * padding
    if padded < dilation * (kernel_size - 1) + 1:
        with pytest.raises(ValueError, match="smaller kernel or dilation, or more padding"):
            cells_left_over(input_size, kernel_size, stride, padding, dilation)
        return
    cells = torch.ones(1, 1, padded, requires_grad=True)
    nn.functional.conv1d(cells, torch.ones(1, 1, kernel_size), stride=stride, dilation=dilation).sum().backward()
    last = cells.grad[0, 0].nonzero().max().item()
    assert cells_left_over(input_size, kernel_size, stride, padding, dilation) == padded - 1 - last


@pytest.mark.row("S1")
@pytest.mark.parametrize("stride, cells", [(1, 0), (2, 0), (3, 1), (4, 0), (5, 4)])
def test_a_kernel_of_3_fits_into_7_cells_with_stride_1_and_2_and_not_with_stride_3(stride, cells):
    assert cells_left_over(7, 3, stride) == cells


@pytest.mark.row("S7")
@settings(max_examples=SETTINGS, deadline=None)
@given(
    in_channels=st.integers(1, 8),
    out_channels=st.integers(1, 8),
    groups=st.integers(1, 4),
    kernel_size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    bias=st.booleans(),
)
def test_the_bill_of_a_convolution_is_its_kernels_and_one_bias_each(
    in_channels, out_channels, groups, kernel_size, bias
):
    layer = nn.Conv2d(in_channels * groups, out_channels * groups, kernel_size, groups=groups, bias=bias, device="meta")
    height, width = kernel_size
    assert parameter_count(layer) == out_channels * groups * (in_channels * height * width + bias)


@pytest.mark.row("S1", "S3", "S4", "S5")
@pytest.mark.parametrize(
    "arguments, size",
    [
        ((32, 5), 28),
        ((7, 3, 1), 5),
        ((7, 3, 2), 3),
        ((7, 3, 3), 2),  # the last row is never looked at
        ((7, 3, 1, 1), 7),
        ((7, 5, 1, 2), 7),
        ((7, 7, 1, 3), 7),
        ((28, 5), 24),
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


LIMITS = {"input_size": (1, 30), "kernel_size": (1, 9), "stride": (1, 40), "padding": (0, 30), "output_size": (1, 30)}


def size_or_none(values):
    try:
        return output_size(**values)
    except ValueError:
        return None


@pytest.mark.row("S6")
@settings(max_examples=SETTINGS, deadline=None)
@given(
    unknown=st.sampled_from(["input_size", "kernel_size", "stride", "padding"]),
    known=st.fixed_dictionaries(
        dict(
            input_size=st.integers(1, 20),
            kernel_size=st.integers(1, 9),
            stride=st.integers(1, 6),
            padding=st.integers(0, 5),
            dilation=st.integers(1, 3),
        )
    ),
    wanted=st.integers(1, 12),
)
def test_the_solver_finds_what_trying_everything_finds(unknown, known, wanted):
    del known[unknown]
    tried = range(0 if unknown == "padding" else 1, 100)  # beyond any solution of these, but for a stride
    found = [value for value in tried if size_or_none(known | {unknown: value}) == wanted]
    if found:
        solutions = solve_size(**known, output_size=wanted)
        endless = unknown == "stride" and wanted == 1
        assert solutions == Solutions(found[0], math.inf if endless else found[-1])
        assert found == list(range(solutions.smallest, found[-1] + 1))  # no gap
    else:
        with pytest.raises(ValueError):
            solve_size(**known, output_size=wanted)


@pytest.mark.row("S6")
@settings(max_examples=SETTINGS, deadline=None)
@given(known=st.fixed_dictionaries({"input_size": st.integers(1, 40), **settings_of_one_side}))
def test_the_solver_left_without_an_output_size_computes_it(known):
    size = size_or_none(known)
    if size is None:
        with pytest.raises(ValueError, match="smaller kernel"):
            solve_size(**known)
    else:
        assert list(solve_size(**known)) == [size]


@pytest.mark.row("S6")
@pytest.mark.parametrize(
    "known, message",
    [
        (
            dict(input_size=7, kernel_size=3, padding=0, output_size=4),
            "no stride gives output size 4: stride 1 gives 5, stride 2 gives 3",
        ),
        (
            dict(input_size=7, kernel_size=4, stride=1, output_size=7),
            "no padding gives output size 7: padding 1 gives 6, padding 2 gives 8",
        ),
        (
            dict(kernel_size=3, stride=1, padding=2, output_size=1),
            "no input_size gives output size 1: input_size 1 gives 3",
        ),
        (
            dict(input_size=9, kernel_size=3, padding=0, output_size=20),
            "no stride gives output size 20: stride 1 gives 7",
        ),
        (
            dict(input_size=6, stride=1, padding=0, output_size=1, dilation=3),
            "no kernel_size gives output size 1: kernel_size 2 gives 3, with kernel_size 3 the kernel does not fit",
        ),
        (
            dict(input_size=2, kernel_size=5, padding=1, output_size=1),
            "the kernel covers 5 cells but the padded input has only 4",
        ),
        (dict(input_size=7, kernel_size=3, padding=-1, stride=1), "padding must be at least 0, got -1"),
        (dict(input_size=7, kernel_size=3, padding=0, output_size=0), "output_size must be at least 1, got 0"),
    ],
)
def test_the_solver_says_why_there_is_no_solution(known, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        solve_size(**known)


@pytest.mark.parametrize(
    "known, message",
    [
        (
            dict(input_size=7, kernel_size=3),
            "leave out exactly one of input_size, kernel_size, stride, padding, output_size",
        ),
        (dict(input_size=7, kernel_size=3, stride=1, padding=0, output_size=5), "left out: none"),
        (dict(input_size=7, kernel_size=3.0, stride=1, padding=0), "kernel_size must be an integer, got 3.0"),
    ],
)
def test_the_solver_wants_four_integers(known, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        solve_size(**known)


def test_solutions_read_like_a_sentence_and_can_be_gone_through():
    assert str(Solutions(3, 3)) == "3" and str(Solutions(3, 5)) == "3 to 5"
    assert list(Solutions(3, 5)) == [3, 4, 5]
    endless = solve_size(input_size=7, kernel_size=3, padding=0, output_size=1)
    assert str(endless) == "5 and all larger"
    assert 1000 in endless and 4 not in endless
    with pytest.raises(ValueError, match="these solutions have no end: 5 and all larger"):
        list(endless)


@pytest.mark.row("S7")
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
