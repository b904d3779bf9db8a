"""The reference pooling is torch's in output, gradients, indices and errors; the recorded comparison of poolings is complete."""

import importlib.util
import json
import os
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from helpers.pooling import avg_pool2d, max_pool2d
from helpers.sizes import parameter_count
from helpers.training import Evaluation

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = int(os.environ.get("POOLING_SETTINGS", "2000"))  # POOLING_SETTINGS=200 draws fewer
PAIRS = {"max": (max_pool2d, F.max_pool2d), "average": (avg_pool2d, F.avg_pool2d)}


def pair(low, high):
    number = st.integers(low, high)
    return st.one_of(number, st.tuples(number, number))


@st.composite
def poolings(draw):
    """Settings that torch accepts, and an input that they fit, often with equal numbers in a window."""
    kind = draw(st.sampled_from(["max", "average"]))
    arguments = {
        "kernel_size": draw(pair(1, 5)),
        "stride": draw(st.one_of(st.none(), pair(1, 4))),
        "padding": draw(pair(0, 2)),
        "ceil_mode": draw(st.booleans()),
    }
    if kind == "max":
        arguments["dilation"] = draw(pair(1, 3))
    else:
        arguments["count_include_pad"] = draw(st.booleans())
        arguments["divisor_override"] = draw(st.sampled_from([None, None, 1, 7, -2]))
    sides, padding = [], []
    for axis in (0, 1):
        kernel_size, most, dilation = (
            value[axis] if isinstance(value, tuple) else value
            for value in (arguments["kernel_size"], arguments["padding"], arguments.get("dilation", 1))
        )
        covered = dilation * (kernel_size - 1) + 1
        padding.append(min(most, kernel_size // 2))
        # At least dilation cells: in a smaller map a window may have no cell but padding, and there torch's index is wrong.
        sides.append(max(1, dilation, covered - 2 * padding[axis]) + draw(st.integers(0, 6)))
    if isinstance(arguments["padding"], tuple) or padding[0] != padding[1]:
        arguments["padding"] = tuple(padding)
    else:
        arguments["padding"] = padding[0]
    shape = (*draw(st.sampled_from([(), (0,), (1,), (3,)])), draw(st.integers(1, 3)), *sides)
    values = draw(st.sampled_from(["different", "with ties", "with infinities"]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 1000)))
    input = torch.randn(shape, dtype=torch.float64, generator=generator)
    if values == "with ties":
        input = input.round()
    elif values == "with infinities" and kind == "max":
        input = torch.where(input > 0, input, -torch.inf)
    return kind, arguments, input


def run(function, arguments, input):
    """Output and gradient, or the error that was raised."""
    input = input.clone().requires_grad_()
    try:
        output = function(input, **arguments)
    except (RuntimeError, TypeError) as error:
        return error
    output.backward(torch.linspace(-1, 1, output.numel(), dtype=output.dtype).reshape(output.shape))
    return output.detach(), input.grad


@pytest.mark.row("P2")
@settings(max_examples=SETTINGS, deadline=None, derandomize=True)
@given(poolings())
def test_output_and_gradient_are_those_of_torch(drawn):
    kind, arguments, input = drawn
    ours, theirs = (run(function, arguments, input) for function in PAIRS[kind])
    assert not isinstance(theirs, Exception), f"this was meant to be right, torch raised {theirs!r}"
    assert not isinstance(ours, Exception), f"torch accepts this, we raised {ours!r}"
    for mine, torchs in zip(ours, theirs):
        assert mine.shape == torchs.shape and mine.dtype == torchs.dtype
        torch.testing.assert_close(mine, torchs, rtol=1e-12, atol=1e-12)
    if kind == "max":
        indices = [function(input, **arguments, return_indices=True)[1] for function in PAIRS[kind]]
        assert torch.equal(*indices)


FAULTS = [
    ({"kernel_size": 0}, (1, 2, 6, 6), RuntimeError, "kernel_size"),
    ({"kernel_size": -1, "stride": 1}, (1, 2, 6, 6), RuntimeError, "kernel_size"),
    ({"kernel_size": (2, 2, 2)}, (1, 2, 6, 6), RuntimeError, "kernel_size"),
    ({"kernel_size": 1.5}, (1, 2, 6, 6), TypeError, "kernel_size"),
    ({"kernel_size": True}, (1, 2, 6, 6), TypeError, "kernel_size"),
    ({"kernel_size": None}, (1, 2, 6, 6), TypeError, "kernel_size"),
    ({"kernel_size": 7}, (1, 2, 6, 6), RuntimeError, "Output size is too small"),
    ({"kernel_size": 9}, (0, 2, 4, 4), RuntimeError, "Output size is too small"),
    ({"stride": 0}, (1, 2, 6, 6), RuntimeError, "stride"),
    ({"stride": (1, -1)}, (1, 2, 6, 6), RuntimeError, "stride"),
    ({"stride": (2, 1, 1)}, (1, 2, 6, 6), RuntimeError, "stride"),
    ({"stride": 1.5}, (1, 2, 6, 6), TypeError, "stride"),
    ({"padding": -1}, (1, 2, 6, 6), RuntimeError, "pad"),
    ({"padding": 2}, (1, 2, 6, 6), RuntimeError, "at most half"),
    ({"padding": (1, 2)}, (1, 2, 6, 6), RuntimeError, "at most half"),
    ({"padding": (1, 1, 1)}, (1, 2, 6, 6), RuntimeError, "padding"),
    ({"ceil_mode": 1}, (1, 2, 6, 6), TypeError, "ceil_mode"),
    ({}, (1, 1, 2, 6, 6), RuntimeError, "3D"),
    ({}, (1, 0, 6, 6), RuntimeError, "3D"),
    ({}, (1, 2, 0, 6), RuntimeError, "3D"),
]


@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize(("arguments", "shape", "error", "words"), FAULTS)
def test_what_torch_refuses_is_refused_with_the_same_kind_of_error(kind, arguments, shape, error, words):
    ours, theirs = (run(function, {"kernel_size": 2} | arguments, torch.randn(shape)) for function in PAIRS[kind])
    assert type(ours) is type(theirs) is error
    assert words in str(ours)


@pytest.mark.parametrize(
    ("kind", "arguments", "error", "word"),
    [
        ("max", {"dilation": 0}, RuntimeError, "dilation"),
        ("max", {"dilation": 3, "padding": 2}, RuntimeError, "at most half"),
        ("max", {"dilation": 6}, RuntimeError, "Output size is too small"),
        ("average", {"divisor_override": 0}, RuntimeError, "divisor"),
        ("average", {"divisor_override": 1.5}, TypeError, "divisor_override"),
    ],
)
def test_a_bad_setting_of_one_of_them_is_refused_as_torch_does(kind, arguments, error, word):
    for function in PAIRS[kind]:
        result = run(function, {"kernel_size": 2} | arguments, torch.randn(1, 2, 6, 6))
        assert type(result) is error
        if function is PAIRS[kind][0]:
            assert word in str(result)


@pytest.mark.parametrize("kind", PAIRS)
def test_an_input_without_channels_or_order_is_refused(kind):
    ours, theirs = PAIRS[kind]
    with pytest.raises(RuntimeError, match="3D .* but got input of size: \\[6, 6\\]"):
        ours(torch.randn(6, 6), 2)  # torch's avg_pool2d has an IndexError here that does not name the fault
    for values in (torch.ones(1, 1, 4, 4, dtype=torch.bool), torch.ones(1, 1, 4, 4, dtype=torch.complex64)):
        for function in (ours, theirs):
            with pytest.raises(NotImplementedError):
                function(values, 2)
    for function in (ours, theirs):
        with pytest.raises(TypeError, match="input|Tensor"):
            function([[1.0, 2.0], [3.0, 4.0]], 2)


@pytest.mark.row("P2")
def test_of_equal_numbers_the_first_gets_the_whole_gradient():
    for function in PAIRS["max"]:
        output, gradient = run(function, {"kernel_size": 2}, torch.ones(1, 1, 2, 2))
        assert output.item() == 1
        assert gradient.flatten().abs().tolist() == [1, 0, 0, 0]


def test_a_nan_wins_and_the_last_of_several_gets_the_gradient():
    values = torch.tensor([[[1.0, torch.nan], [torch.nan, 9.0]]])
    for function in PAIRS["max"]:
        output, gradient = run(function, {"kernel_size": 2}, values)
        assert output.isnan().all()
        assert gradient.flatten().abs().tolist() == [0, 0, 1, 0]


def test_padding_never_wins_even_among_minus_infinities():
    values = torch.full((1, 3, 3), -torch.inf)
    for function in PAIRS["max"]:
        output, indices = function(values, 3, stride=1, padding=1, return_indices=True)
        assert (output == -torch.inf).all() and indices[0].tolist() == [[0, 0, 1], [0, 0, 1], [3, 3, 4]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.uint8])
def test_other_number_types_work(dtype):
    values = (torch.randn(2, 3, 7, 6) * 20).abs().to(dtype)
    values = -values if dtype != torch.uint8 else values
    assert torch.equal(max_pool2d(values, 3, padding=1), F.max_pool2d(values, 3, padding=1))
    if dtype in (torch.int32, torch.uint8):
        for function in PAIRS["average"]:
            with pytest.raises(NotImplementedError):
                function(values, 3)
    else:
        ours, theirs = (function(values, 3, padding=1) for function in PAIRS["average"])
        assert ours.dtype == theirs.dtype
        torch.testing.assert_close(ours, theirs)


@pytest.mark.row("P1")
@pytest.mark.parametrize("kind", PAIRS)
def test_each_channel_is_pooled_as_if_it_were_alone(kind):
    images = torch.randn(2, 5, 9, 8)
    together = PAIRS[kind][0](images, 3, stride=2)
    alone = torch.stack([PAIRS[kind][0](images[:, channel : channel + 1], 3, stride=2)[:, 0] for channel in range(5)], dim=1)
    assert torch.equal(together, alone)


@pytest.mark.row("P4")
@pytest.mark.parametrize("reach", [1, 2, 3])
def test_the_formula_of_the_lecture_is_an_odd_window_with_stride_1(reach):
    y = torch.randn(1, 1, 7, 6)
    x = max_pool2d(y, kernel_size=2 * reach - 1, stride=1, padding=reach - 1)
    offsets = range(-reach + 1, reach)
    for i in range(7):
        for j in range(6):
            inside = [y[0, 0, i - k, j - l] for k in offsets for l in offsets if 0 <= i - k < 7 and 0 <= j - l < 6]
            assert x[0, 0, i, j] == max(inside)


@pytest.mark.parametrize("kind", PAIRS)
def test_gradients_pass_the_numerical_check(kind):
    values = torch.randperm(2 * 2 * 6 * 5).reshape(2, 2, 6, 5).double().requires_grad_()  # no ties
    function = lambda input: PAIRS[kind][0](input, 3, stride=2, padding=1, ceil_mode=True)
    assert torch.autograd.gradcheck(function, (values,))
    assert torch.autograd.gradgradcheck(function, (values,))


@pytest.mark.parametrize("kind", PAIRS)
def test_torch_func_and_torch_compile_work(kind):
    ours, theirs = PAIRS[kind]
    images = torch.randn(4, 2, 3, 8, 8)
    torch.testing.assert_close(torch.func.vmap(lambda batch: ours(batch, 2))(images), torch.stack([theirs(b, 2) for b in images]))
    compiled = torch.compile(lambda batch: ours(batch, 3, stride=2, padding=1), backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(images[0]), theirs(images[0], 3, stride=2, padding=1))


def test_the_input_is_left_as_it_was():
    images = torch.randn(1, 2, 5, 5)
    before = images.clone()
    max_pool2d(images, 2), avg_pool2d(images, 2)
    assert torch.equal(images, before)


@pytest.fixture(scope="module")
def benchmark():
    specification = importlib.util.spec_from_file_location("benchmark_pooling", ROOT / "benchmarks" / "pooling.py")
    module = importlib.util.module_from_spec(specification)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        specification.loader.exec_module(module)
    return module


@pytest.mark.row("P3")
def test_the_recorded_comparison_is_complete_and_each_run_has_its_best_learning_rate(benchmark):
    recorded = json.loads((ROOT / "results" / "pooling.json").read_text(encoding="utf-8"))
    assert [{name: run[name] for name in plan} for run, plan in zip(recorded["runs"], benchmark.PLAN, strict=True)] == benchmark.PLAN
    for field in ("method", "command", "date", "versions", "processor", "threads"):
        assert recorded[field], field
    for run in recorded["runs"]:
        validation = [errors for errors in run["validation_errors"] if errors is not None]
        rates = [*recorded["learning_rates"], 1.5, 4.5, 13.5]
        assert run["validation_errors"][rates.index(run["lr"])] == min(validation)
        assert run["validation_errors"][-1] != min(validation), "a higher rate might have been better"
        assert len(run["errors"]) == len(run["seeds"]) >= 5
        assert all(len(errors) == len(run["seeds"]) for errors in run["shifted_errors"].values())


@pytest.mark.parametrize(("best", "chosen"), [(0.05, 0.05), (1.5, 1.5), (0.3, 0.15)])
def test_the_benchmark_looks_beyond_its_highest_learning_rate(benchmark, monkeypatch, best, chosen):
    monkeypatch.setattr(benchmark, "SEEDS", [0])
    monkeypatch.setattr(benchmark, "train", lambda network, pooling, lr, *rest: nn.Linear(1, round(1000 * lr)))

    def evaluate(trained, *data):
        if best == 0.3 and trained.out_features > 300:
            raise RuntimeError("diverged")
        return Evaluation(loss=0.0, errors=abs(trained.out_features - round(1000 * best)), count=5000)

    monkeypatch.setattr(benchmark, "evaluate", evaluate)
    assert benchmark.perform("two layers", "max")["lr"] == chosen


@pytest.mark.parametrize(("network", "pooling", "parameters"), [
    ("two layers", "max", 5994), ("two layers", "average", 5994), ("two layers", "stride", 5994), ("two layers", "none", 67434),
    ("tiles of 24", "max", 586),
])  # fmt: skip
def test_the_compared_networks_have_the_parameters_that_the_chapter_counts(benchmark, network, pooling, parameters):
    made = benchmark.build(network, pooling)
    assert made(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert parameter_count(made) == parameters
