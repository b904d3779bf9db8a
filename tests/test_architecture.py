"""helpers.architecture: the lecture's pattern builds the network that it describes, or says where it cannot."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from helpers.architecture import LAYERS, PatternError, build, expand
from helpers.receptive_field import receptive_field
from helpers.sizes import parameter_count

LECTURE = "INPUT -> [[CONV -> RELU]*N -> POOL?]*M -> [FC -> RELU]*K -> FC"


def kinds(network):
    return [type(layer).__name__ for layer in network]


@pytest.mark.row("N4", "N6")
@settings(max_examples=150, deadline=None)
@given(
    n=st.integers(0, 3),
    m=st.integers(0, 3),
    k=st.integers(0, 3),
    pool=st.booleans(),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4)),
    kernel_size=st.sampled_from([1, 3, 5]),
    widths=st.lists(st.integers(1, 5), min_size=12, max_size=12),
)
def test_the_lectures_pattern_builds_the_layers_it_names_in_the_sizes_it_promises(
    n, m, k, pool, shape, kernel_size, widths
):
    depth, rows, columns = shape[0], 8 * shape[1], 8 * shape[2]
    network = build(
        LECTURE,
        input_shape=(depth, rows, columns),
        channels=widths[: n * m],
        features=widths[-k:] if k else [],
        kernel_size=kernel_size,
        classes=7,
        pool=pool,
        N=n,
        M=m,
        K=k,
    )
    block = ["Conv2d", "ReLU"] * n + ["MaxPool2d"] * pool
    assert kinds(network) == block * m + ["Flatten"] + ["Linear", "ReLU"] * k + ["Linear"]

    images = torch.randn(2, depth, rows, columns)
    for layer in network:
        before, images = images, layer(images)
        if isinstance(layer, nn.Conv2d):
            assert images.shape[2:] == before.shape[2:]
        if isinstance(layer, nn.MaxPool2d):
            assert images.shape[2] * 2 == before.shape[2] and images.shape[3] * 2 == before.shape[3]
    assert images.shape == (2, 7)
    convolutions = [layer.out_channels for layer in network if isinstance(layer, nn.Conv2d)]
    assert convolutions == widths[: n * m]


@pytest.mark.row("N4")
def test_numbers_in_the_pattern_are_the_same_as_letters_with_values():
    written = build("INPUT -> [[CONV -> RELU]*2 -> POOL]*2 -> [FC -> RELU]*1 -> FC")
    named = build(LECTURE, N=2, M=2, K=1)
    assert str(written) == str(named)


@pytest.mark.row("N4", "H1")
def test_channels_and_features_are_given_out_in_turn():
    network = build(
        "INPUT -> CONV -> RELU -> POOL -> [CONV -> RELU]*2 -> POOL -> FC -> RELU -> FC",
        channels=(8, 16, 32),
        features=(64,),
        kernel_size=5,
    )
    expected = nn.Sequential(
        *(nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 5, padding=2), nn.ReLU()),
        *(nn.Conv2d(16, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(32 * 7 * 7, 64), nn.ReLU(), nn.Linear(64, 10)),
    )
    assert str(network) == str(expected)
    assert parameter_count(network) == parameter_count(expected)


@settings(max_examples=100, deadline=None)
@given(n=st.integers(1, 12), kernel_size=st.sampled_from([1, 3, 5, 7]))
@pytest.mark.row("N5")
def test_a_stack_of_n_kernels_sees_n_times_their_reach(n, kernel_size):
    stack = build("INPUT -> [CONV -> RELU]*N", N=n, kernel_size=kernel_size, channels=2)
    assert receptive_field(stack)[0].size == n * (kernel_size - 1) + 1


@pytest.mark.parametrize(
    "pattern, place, problem",
    [
        ("", "the end", "begins with INPUT"),
        ("CONV -> FC", "CONV", "begins with INPUT"),
        ("[INPUT -> CONV]*2", "[", "begins with INPUT"),
        ("INPUT*2 -> FC", "*", "INPUT cannot be repeated"),
        ("INPUT -> FC -> INPUT", " INPUT", "at the beginning only"),
        ("INPUT -> KONV -> FC", "KONV", "expected CONV, RELU, POOL, FC or [, found KONV"),
        ("INPUT -> conv -> FC", "conv", "found conv"),
        ("INPUT -> CONV -> ", "the end", "found the end"),
        ("INPUT CONV", "CONV", "expected ->, found CONV"),
        ("INPUT -> [CONV -> RELU*2 -> FC", "[", "never closed"),
        ("INPUT -> CONV]*2 -> FC", "]", "closes no ["),
        ("INPUT -> []*2 -> FC", "]", "found ]"),
        ("INPUT -> [CONV]*N -> FC", "N -> F", "give it a value: build(…, N=2)"),
        ("INPUT -> [CONV]*-1 -> FC", "-1", "found -"),
        ("INPUT -> [CONV]* -> FC", "-> FC", "found ->"),
        ("INPUT -> [CONV]*2000 -> FC", "2000", "more than 1000"),
        ("INPUT -> [[[[CONV]*99]*99]*99]*99 -> FC", "99]*99]*99 ", "more than 1000"),
        ("INPUT -> CONV? -> FC", "?", "? may follow POOL only"),
        ("INPUT -> FC -> CONV -> FC", "CONV", "left a row of numbers"),
        ("INPUT -> [CONV -> POOL]*3 -> FC", "POOL", "layer 6 of 7, POOL, cannot halve maps of 7×7: leave it out"),
        ("INPUT ->\n[CONV -> POOOL]", "POOOL", "found POOOL"),
    ],
)
@pytest.mark.row("N4")
def test_an_error_says_what_is_wrong_and_points_to_it(pattern, place, problem):
    with pytest.raises(PatternError, match=re.escape(problem)) as error:
        build(pattern)
    expected = len(pattern) if place == "the end" else pattern.index(place) + (place[0] == " ")
    assert error.value.position == expected
    shown, caret = str(error.value).split("\n")[-2:]
    assert shown == pattern.replace("\n", " ")
    assert caret == " " * expected + "^"


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from("INPUT CONV RELU POOL POOL? FC -> -> -> [ ] ]*2 * 3 ? N é 0".split())).map(" ".join))
def test_any_text_expands_to_known_layers_or_is_a_pattern_error(pattern):
    for text in (pattern, f"INPUT -> {pattern}"):
        try:
            layers = expand(text)
        except PatternError as error:
            assert 0 <= error.position <= len(text)
        else:
            assert layers[0] == ("INPUT", text.index("INPUT"))
            for word, position in layers[1:]:
                assert word in LAYERS and text[position:].startswith(word)


@pytest.mark.parametrize(
    "arguments, error, problem",
    [
        (dict(channels=(6, 16)), ValueError, "3 CONV layers, repetitions written out, but channels names 2"),
        (dict(features=(6, 16)), ValueError, "1 FC layers before the last"),
        (dict(kernel_size=4), ValueError, "kernel_size must be odd"),
        (dict(channels=0), ValueError, "channels must be at least 1, got 0"),
        (dict(channels=2.5), TypeError, "channels must be an integer or a sequence of integers, got 2.5"),
        (dict(channels=(6, 16, 2.5)), TypeError, "each of channels must be an integer, got 2.5"),
        (dict(classes="ten"), TypeError, "classes must be an integer, got 'ten'"),
        (dict(input_shape=(28, 28)), ValueError, "input_shape is (channels, rows, columns)"),
        (dict(input_shape=(1, 28, 0)), ValueError, "each number of input_shape must be at least 1"),
        (dict(chanels=3), TypeError, "chanels is neither an argument of build nor a letter of the pattern"),
    ],
)
def test_other_arguments_are_checked(arguments, error, problem):
    with pytest.raises(error, match=re.escape(problem)):
        build("INPUT -> [CONV -> RELU]*3 -> FC -> FC", **arguments)


def test_a_pattern_must_be_text():
    with pytest.raises(TypeError, match="a pattern is text"):
        build(["INPUT", "FC"])
