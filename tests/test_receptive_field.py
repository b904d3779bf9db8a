"""helpers.receptive_field: what a deep unit sees, checked by asking torch for gradients."""

import os

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from helpers.conv import Conv2D
from helpers.receptive_field import Field, receptive_field
from helpers.sizes import output_size

SETTINGS = int(os.environ.get("SIZE_SETTINGS", "500"))
layer_settings = st.fixed_dictionaries(
    dict(
        kernel_size=st.integers(1, 5),
        stride=st.integers(1, 3),
        padding=st.integers(0, 4),
        dilation=st.integers(1, 3),
    )
)


def seen(network, input_size, pick):
    """Which cells of the input the picked output depends on, where no weight is zero and none cancels another."""
    for parameter in network.parameters():
        nn.init.ones_(parameter)
    image = torch.ones(1, 1, *input_size, dtype=torch.float64, requires_grad=True)
    pick(network.double()(image)[0, 0]).backward()
    return image.grad[0, 0] != 0


def columns_of(stack):
    """A network of one row: torch's layers with these settings along the columns."""
    layers = []
    for each in stack:
        each = dict(each)
        if each.pop("pooling", False):
            # Pooling by its largest value gives a gradient to one cell alone; the mean has the same window.
            del each["dilation"]
            each["padding"] = min(each["padding"], each["kernel_size"] // 2)
            layers.append(
                nn.AvgPool2d(**{name: (0 if name == "padding" else 1, value) for name, value in each.items()})
            )
        else:
            both = {name: (0 if name == "padding" else 1, value) for name, value in each.items()}
            layers.append(nn.Conv2d(1, 1, **both, bias=False))
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


@settings(max_examples=SETTINGS, deadline=None)
@given(
    stack=st.lists(st.tuples(layer_settings, st.booleans()), min_size=1, max_size=4),
    extra=st.integers(0, 6),
)
def test_the_field_is_where_the_gradient_is(stack, extra):
    network = columns_of([{**each, "pooling": pooling} for each, pooling in stack])
    rows, field = receptive_field(network)
    assert rows == Field(1, 1, 0)
    unit = -(field.start // field.step)  # the first whose field lies inside the input
    input_size = field.cells(unit).stop + extra
    found = seen(network, (1, input_size), lambda output: output[0, unit])[0].nonzero().flatten().tolist()
    assert (found[0], found[-1]) == (field.cells(unit)[0], field.cells(unit)[-1])


@settings(max_examples=SETTINGS // 10, deadline=None)
@given(stack=st.lists(layer_settings, min_size=1, max_size=3), input_size=st.integers(8, 30))
def test_no_unit_sees_a_cell_outside_of_its_field(stack, input_size):
    size = input_size
    for each in stack:
        try:
            size = output_size(size, **each)
        except ValueError:
            return  # torch fails here as well: test_sizes.py
    network = columns_of(stack)
    _, field = receptive_field(network)
    for unit in range(size):
        found = seen(network, (1, input_size), lambda output: output[0, unit])[0].nonzero().flatten().tolist()
        assert all(cell in field.cells(unit) for cell in found)


@pytest.mark.row("N5")
@pytest.mark.parametrize(
    "layers, expected",
    [
        ([], Field(1, 1, 0)),
        ([nn.Conv2d(1, 1, 5)], Field(5, 1, 0)),
        ([nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3)], Field(5, 1, 0)),
        ([nn.Conv2d(1, 1, 3, padding=1)] * 3, Field(7, 1, -3)),
        ([nn.Conv2d(1, 1, 3, dilation=4, padding="same")], Field(9, 1, -4)),
        ([nn.Conv2d(1, 1, 4, padding="same")], Field(4, 1, -1)),  # one more at the end
        ([nn.MaxPool2d(2)] * 3, Field(8, 8, 0)),
        (
            [nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)],
            Field(16, 4, 0),
        ),
        ([Conv2D(1, 1, 3, stride=2, padding=1), nn.BatchNorm2d(1), nn.AvgPool2d(3, 2, 1)], Field(7, 4, -3)),
    ],
)
def test_fields_that_can_be_worked_out_on_paper(layers, expected):
    assert receptive_field(layers) == (expected, expected)
    assert receptive_field(nn.Sequential(*layers)) == (expected, expected)


def test_rows_and_columns_may_differ():
    rows, columns = receptive_field(nn.Conv2d(1, 1, (3, 5), stride=(2, 1), padding=(0, 2), dilation=(1, 3)))
    assert rows == Field(size=3, step=2, start=0)
    assert columns == Field(size=13, step=1, start=-2)


def test_a_rectangle_of_the_image_is_seen_in_both_directions():
    network = nn.Sequential(nn.Conv2d(1, 1, (3, 5), stride=(2, 1), padding=(1, 0), bias=False), nn.AvgPool2d((2, 3)))
    rows, columns = receptive_field(network)
    found = seen(network, (20, 20), lambda output: output[2, 1])
    expected = torch.zeros(20, 20, dtype=torch.bool)
    expected[rows.cells(2).start : rows.cells(2).stop, columns.cells(1).start : columns.cells(1).stop] = True
    assert torch.equal(found, expected)


def test_stacks_inside_stacks_are_read_in_order():
    block = nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU())
    assert receptive_field(nn.Sequential(block, block, nn.MaxPool2d(2)))[0] == Field(6, 2, 0)


@pytest.mark.parametrize(
    "layer", [nn.Flatten(), nn.Linear(4, 2), nn.ConvTranspose2d(1, 1, 3), nn.AdaptiveAvgPool2d(1), "conv"]
)
def test_a_layer_whose_field_is_not_known_is_named(layer):
    with pytest.raises(TypeError, match=f"layer 1, {type(layer).__name__}, is none whose receptive field is known"):
        receptive_field([nn.Conv2d(1, 1, 3), layer])
