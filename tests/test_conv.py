"""The reference Conv2D is torch's Conv2d in output, gradients, errors and state, without torch's convolution inside."""

import copy
import itertools
import os
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from helpers.conv import Conv2D, conv2d
from helpers.strips import Strips
from helpers.windows import windows

TOLERANCE = 1e-9
SETTINGS = int(os.environ.get("CONV_SETTINGS", "2000"))  # CONV_SETTINGS=20000 draws ten times as many
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")


@pytest.fixture(autouse=True)
def same_random_numbers():
    torch.manual_seed(0)


def pair(low, high):
    number = st.integers(low, high)
    return st.one_of(number, st.tuples(number, number))


@st.composite
def layers(draw):
    """Settings that torch accepts, and the shape of an input that they fit."""
    groups = draw(st.integers(1, 3))
    arguments = {
        "in_channels": groups * draw(st.integers(1, 3)),
        "out_channels": groups * draw(st.integers(1, 3)),
        "kernel_size": draw(pair(1, 4)),
        "stride": draw(pair(1, 3)),
        "padding": draw(st.one_of(pair(0, 3), st.sampled_from(["same", "valid"]))),
        "dilation": draw(pair(1, 3)),
        "groups": groups,
        "bias": draw(st.booleans()),
        "padding_mode": draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"])),
    }
    if arguments["padding"] == "same":
        arguments["stride"] = 1
    side = []
    for axis in (0, 1):
        kernel_size, padding, dilation = (
            value[axis] if isinstance(value, tuple) else value
            for value in (arguments["kernel_size"], arguments["padding"], arguments["dilation"])
        )
        covered = dilation * (kernel_size - 1) + 1
        padding = {"same": covered // 2, "valid": 0}.get(padding, padding)
        side.append(max(1, covered - 2 * padding, padding + 1) + draw(st.integers(0, 5)))
    batch = draw(st.sampled_from([(), (0,), (1,), (2,), (3,)]))
    return arguments, (*batch, arguments["in_channels"], *side)


@st.composite
def faulty_layers(draw):
    """Settings or an input with one fault, which torch refuses."""
    arguments, shape = draw(layers())
    arguments |= {"padding": draw(pair(0, 1)), "padding_mode": "zeros"}
    shape = (2, *shape[-3:])  # torch lets some faults pass where there is no image at all
    fault = draw(st.sampled_from(["channels", "dimensions", "size", "stride", "dilation", "groups", "padding", "mode"]))
    if fault == "channels":
        shape = (2, arguments["in_channels"] + draw(st.sampled_from([-1, 1])), *shape[2:])
    elif fault == "dimensions":
        shape = draw(st.sampled_from([(5,), (5, 5), (1, *shape)]))
    elif fault == "size":
        arguments["kernel_size"] = draw(st.sampled_from([20, (1, 20), (20, 1)]))
    elif fault in ("stride", "dilation"):
        arguments[fault] = draw(st.sampled_from([0, -1, (1, 0), (2, 1, 1), 1.5]))
    elif fault == "groups":
        arguments[fault] = draw(st.sampled_from([0, -1, 5]))
        arguments["out_channels"] = 7
    elif fault == "padding":
        arguments[fault] = draw(st.sampled_from([-1, (0, -1), "full", (1, 1, 1), 0.5]))
    elif fault == "mode":
        arguments["padding_mode"] = "mirror"
    return arguments, shape


def run(make, arguments, shape, seed):
    """Output and gradients of one layer, or the error that it raised."""
    torch.manual_seed(seed)
    input = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    try:
        torch.manual_seed(seed)
        layer = make(**arguments, dtype=torch.float64)
        output = layer(input)
    except (ValueError, RuntimeError, TypeError) as error:
        return error
    output.backward(torch.linspace(-1, 1, output.numel(), dtype=torch.float64).reshape(output.shape))
    return {"output": output, "input": input.grad} | {name: value.grad for name, value in layer.named_parameters()}


@pytest.mark.row("C8", "H2")
@settings(max_examples=SETTINGS, deadline=None, derandomize=True)
@given(layers(), st.integers(0, 1000))
def test_output_and_gradients_are_those_of_torch(drawn, seed):
    ours, theirs = run(Conv2D, *drawn, seed), run(nn.Conv2d, *drawn, seed)
    assert not isinstance(theirs, Exception), f"this was meant to be right, torch raised {theirs!r}"
    assert not isinstance(ours, Exception), f"torch accepts this, we raised {ours!r}"
    assert ours.keys() == theirs.keys()
    for name in theirs:
        assert ours[name].shape == theirs[name].shape, name
        torch.testing.assert_close(ours[name], theirs[name], rtol=TOLERANCE, atol=TOLERANCE)


@settings(max_examples=SETTINGS // 2, deadline=None, derandomize=True)
@given(faulty_layers())
def test_what_torch_refuses_is_refused_with_the_same_kind_of_error(drawn):
    ours, theirs = run(Conv2D, *drawn, 0), run(nn.Conv2d, *drawn, 0)
    assert isinstance(theirs, Exception), "this was meant to be a fault, torch accepts it"
    assert type(ours) is type(theirs), f"torch raised {theirs!r}, we gave {ours!r}"


@pytest.mark.parametrize(
    ("arguments", "shape", "words"),
    [
        ({"groups": 2}, (1, 3, 5, 5), "in_channels must be divisible by groups"),
        ({"padding": "same", "stride": 2}, (1, 3, 5, 5), "padding='same' is not supported for strided convolutions"),
        ({"padding_mode": "mirror"}, (1, 3, 5, 5), "padding_mode must be one of"),
        ({"padding": "full"}, (1, 3, 5, 5), "Invalid padding string 'full'"),
        ({"stride": 0}, (1, 3, 5, 5), "non-positive stride is not supported"),
        ({"dilation": 0}, (1, 3, 5, 5), "dilation"),
        ({"padding": -1}, (1, 3, 5, 5), "negative padding is not supported"),
        ({}, (1, 4, 5, 5), "expected input[1, 4, 5, 5] to have 3 channels, but got 4 channels instead"),
        ({}, (3, 2), "Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: [3, 2]"),
        ({}, (1, 3, 2, 5), "Calculated padded input size per channel: (2 x 5). Kernel size: (3 x 3)."),
        ({"padding": 1}, (1, 3, 0, 5), "Kernel size can't be greater than actual input size"),
        ({"padding": 2}, (1, 3, 0, 5), "Only zero batch or zero channel inputs are supported"),
        ({"stride": (2, 1, 1)}, (1, 3, 5, 5), "a list of 2 values to match the convolution dimensions"),
    ],
)
def test_messages_say_what_torch_says(arguments, shape, words):
    arguments = {"in_channels": 3, "out_channels": 4, "kernel_size": 3} | arguments
    for make in (Conv2D, nn.Conv2d):
        error = run(make, arguments, shape, 0)
        assert isinstance(error, Exception) and words in str(error), f"{make.__name__}: {error!r}"


def test_a_wrong_dtype_or_a_wrong_bias_is_refused():
    image, weight = torch.randn(1, 2, 5, 5), torch.randn(4, 2, 3, 3)
    with pytest.raises(RuntimeError):
        conv2d(image.double(), weight)
    for bias in (torch.randn(3), torch.randn(4, 1), torch.randn(4).double()):
        with pytest.raises(RuntimeError, match="expected bias to be 1-dimensional with 4 elements"):
            conv2d(image, weight, bias)
    with pytest.raises(TypeError, match="needs a torch.Tensor"):
        conv2d(image.numpy(), weight)


@pytest.mark.row("H2")
def test_state_dict_is_exchanged_both_ways():
    ours, theirs = Conv2D(4, 6, 3, groups=2, padding=1), nn.Conv2d(4, 6, 3, groups=2, padding=1)
    image = torch.randn(2, 4, 7, 7)
    ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(ours(image), theirs(image))
    fresh = Conv2D(4, 6, 3, groups=2, padding=1)
    theirs.load_state_dict(fresh.state_dict())
    torch.testing.assert_close(fresh(image), theirs(image))


@pytest.mark.parametrize("bias", [True, False])
def test_the_same_seed_gives_the_weights_of_torch(bias):
    torch.manual_seed(3)
    ours = Conv2D(4, 8, (3, 5), groups=2, bias=bias)
    torch.manual_seed(3)
    theirs = nn.Conv2d(4, 8, (3, 5), groups=2, bias=bias)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters()))


@pytest.mark.row("H2")
@pytest.mark.parametrize("padding_mode", ["zeros", "reflect"])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_no_convolution_of_torch_runs_inside(groups, padding_mode):
    layer = Conv2D(4, 8, 3, stride=2, padding=1, dilation=1, groups=groups, padding_mode=padding_mode)
    image = torch.randn(2, 4, 12, 12, requires_grad=True)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        layer(image).sum().backward()
    operators = {event.key for event in profile.key_averages()}
    assert "aten::baddbmm_" in operators, "the profiler saw nothing"
    forbidden = [name for name in operators for word in ("conv", "im2col", "col2im", "mkldnn") if word in name.lower()]
    assert not forbidden


def test_the_profile_check_can_fail():
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        nn.Conv2d(4, 8, 3)(torch.randn(2, 4, 12, 12))
    assert any("conv" in event.key for event in profile.key_averages())


def test_the_layer_prints_copies_and_pickles_as_torch_layers_do():
    settings = dict(stride=2, padding=1, dilation=2, groups=2, bias=False, padding_mode="circular")
    ours = Conv2D(4, 6, 3, **settings)
    assert repr(ours).replace("Conv2D", "Conv2d") == repr(nn.Conv2d(4, 6, 3, **settings))
    assert repr(Conv2D(1, 6, 5)).replace("Conv2D", "Conv2d") == repr(nn.Conv2d(1, 6, 5))
    image = torch.randn(1, 4, 9, 9)
    for other in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert torch.equal(other(image), ours(image))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.complex128])
def test_other_number_types_work(dtype):
    ours = Conv2D(2, 3, 3, dtype=dtype)
    theirs = nn.Conv2d(2, 3, 3, dtype=dtype)
    theirs.load_state_dict(ours.state_dict())
    image = torch.randn(1, 2, 6, 6).to(dtype)
    outputs, gradients = [], []
    for layer in (ours, theirs):
        outputs.append(layer(image))
        outputs[-1].abs().square().sum().backward()
        gradients.append(layer.weight.grad)
    assert outputs[0].dtype == gradients[0].dtype == dtype
    torch.testing.assert_close(*outputs, rtol=2e-2, atol=2e-2)
    torch.testing.assert_close(*gradients, rtol=5e-2, atol=5e-2)


def test_large_inputs_go_through_in_several_blocks():
    image = torch.randn(7, 3, 90, 70, dtype=torch.float64, requires_grad=True)
    settings = dict(kernel_size=(5, 4), stride=(3, 2), padding=(2, 1), dilation=(1, 2), dtype=torch.float64)
    ours, theirs = Conv2D(3, 4, **settings), nn.Conv2d(3, 4, **settings)
    theirs.load_state_dict(ours.state_dict())
    assert len(Strips(image, ours.weight, (3, 2), (1, 1, 2, 2), (1, 2)).blocks) > 1, "this test needs a larger input"
    gradient = torch.randn_like(theirs(image))
    results = []
    for layer in (ours, theirs):
        image.grad = None
        output = layer(image)
        output.backward(gradient)
        results.append((output, image.grad, layer.weight.grad, layer.bias.grad))
    for mine, torchs in zip(*results):
        torch.testing.assert_close(mine, torchs, rtol=TOLERANCE, atol=TOLERANCE)


def test_the_input_is_left_as_it_was():
    image = torch.randn(2, 3, 6, 6, requires_grad=True)
    before = image.detach().clone()
    for kernel_size in (1, 3):  # for 1 by 1 the pixels could be used where they are, and be overwritten there
        conv2d(image, torch.randn(4, 3, kernel_size, kernel_size, requires_grad=True)).sum().backward()
    assert torch.equal(image, before)


@pytest.mark.parametrize("frozen", ["input", "weight", "bias"])
def test_a_gradient_that_nobody_needs_is_not_computed(frozen):
    tensors = {"input": torch.randn(2, 2, 5, 5), "weight": torch.randn(3, 2, 3, 3), "bias": torch.randn(3)}
    for name, tensor in tensors.items():
        tensor.requires_grad_(name != frozen)
    conv2d(**tensors).sum().backward()
    assert [name for name, tensor in tensors.items() if tensor.grad is None] == [frozen]


def test_autocast_gives_what_torch_gives():
    image, layer = torch.randn(2, 3, 8, 8), Conv2D(3, 4, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours, theirs = layer(image), F.conv2d(image, layer.weight, layer.bias)
    assert ours.dtype == theirs.dtype == torch.bfloat16
    torch.testing.assert_close(ours, theirs, rtol=2e-2, atol=2e-2)


DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64)


@pytest.mark.parametrize("asked", (torch.bfloat16, torch.float16))
def test_autocast_takes_and_refuses_the_number_types_that_torch_takes_and_refuses(asked):
    for types in itertools.product(DTYPES, DTYPES, (*DTYPES, None)):
        image, weight, bias = torch.randn(1, 2, 5, 5) * 3, torch.randn(3, 2, 3, 3) * 3, torch.randn(3) * 3
        image, weight = image.to(types[0]), weight.to(types[1])
        bias = None if types[2] is None else bias.to(types[2])
        with torch.autocast("cpu", dtype=asked):
            try:
                expected = F.conv2d(image, weight, bias)
            except RuntimeError:
                with pytest.raises(RuntimeError):
                    conv2d(image, weight, bias)
            else:
                ours = conv2d(image, weight, bias)
                assert ours.dtype == expected.dtype, types
                torch.testing.assert_close(ours, expected, rtol=3e-2, atol=0.3 if ours.is_floating_point() else 0)


def test_torch_func_works():
    images, weight, bias = (torch.randn(shape, dtype=torch.float64) for shape in ((5, 2, 3, 6, 6), (4, 3, 3, 3), (4,)))
    ours = torch.func.vmap(lambda batch: conv2d(batch, weight, bias, padding=1))(images)
    theirs = torch.stack([F.conv2d(batch, weight, bias, padding=1) for batch in images])
    torch.testing.assert_close(ours, theirs)
    ours, theirs = (
        torch.func.grad(lambda weight: function(images[0], weight, bias).square().sum())(weight) for function in (conv2d, F.conv2d)
    )
    torch.testing.assert_close(ours, theirs)


def test_torch_compile_works_in_one_graph():
    layer, image = Conv2D(3, 4, 3, stride=2, padding=1), torch.randn(2, 3, 8, 8, requires_grad=True)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(image), layer(image))
    compiled(image).sum().backward()
    assert image.grad is not None


def test_second_derivatives_are_right():
    layer = Conv2D(2, 4, 3, stride=2, padding=1, groups=2, dtype=torch.float64)
    image = torch.randn(2, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    function = lambda image, weight, bias: conv2d(image, weight, bias, stride=2, padding=1, groups=2)
    assert torch.autograd.gradcheck(function, (image, layer.weight, layer.bias))
    assert torch.autograd.gradgradcheck(function, (image, layer.weight, layer.bias))


def test_inputs_that_are_not_contiguous_give_the_same_result():
    layer = Conv2D(3, 4, 3, padding=1)
    image = torch.randn(2, 3, 8, 10)
    expected = layer(image)
    torch.testing.assert_close(layer(image.to(memory_format=torch.channels_last)), expected)
    torch.testing.assert_close(layer(image.mT.contiguous().mT), expected)


@pytest.mark.row("C4")
def test_windows_are_a_view_of_the_input():
    image = torch.arange(30.0).reshape(1, 1, 5, 6)
    view = windows(image, (3, 2), stride=(2, 1), dilation=(1, 2))
    assert view.shape == (1, 1, 2, 4, 3, 2)
    assert view.untyped_storage().data_ptr() == image.untyped_storage().data_ptr()
    assert torch.equal(view[0, 0, 1, 2], image[0, 0, 2:5, [2, 4]])
    assert torch.equal(F.conv2d(image, torch.ones(1, 1, 3, 2), stride=(2, 1), dilation=(1, 2)), view.sum((4, 5)))
