"""The layers of a learner's network, counted from what it computes: any nesting and any spelling gives the same answer.

A convolution is an operator that convolves what comes from the input with what comes from the parameters; a linear
layer is a matrix product of such two. What never reaches the output does not count, and several passes through the same
weights count once. Whether an activation function follows a layer is asked by numbers, too: does what comes after it bend?
"""

from dataclasses import dataclass, replace

import torch

from helpers.grading.experiments import Stopped, Wrong

CONVOLUTIONS = {"convolution", "mkldnn_convolution", "_convolution", "cudnn_convolution"}
PRODUCTS = {"addmm", "mm", "bmm", "baddbmm", "matmul", "linear", "mv", "addmv", "dot"}
# For a network whose layers cannot be told apart, such as one of own convolutions: x * (x > 0) is known by its gt.
ACTIVATIONS = {
    "relu", "leaky_relu", "_prelu_kernel", "prelu", "rrelu_with_noise", "elu", "celu", "selu", "gelu", "silu", "mish",
    "sigmoid", "hardsigmoid", "hardswish", "hardtanh", "tanh", "softplus", "clamp", "clamp_min", "threshold", "maximum",
    "where", "log_sigmoid_forward", "abs", "sin", "exp", "gt", "ge", "lt", "le", "masked_fill", "amax", "erf", "atan",
    "log1p", "glu", "softshrink", "hardshrink", "square", "logaddexp",
}  # fmt: skip
NORMALISATIONS = {
    "native_layer_norm", "native_group_norm", "native_batch_norm", "_native_batch_norm_legit", "_softmax", "_log_softmax",
}  # fmt: skip
VIEWS = {
    "view", "_unsafe_view", "reshape", "permute", "transpose", "t", "expand", "squeeze", "unsqueeze", "slice", "select",
    "split", "chunk", "unbind", "narrow", "detach", "alias", "as_strided", "_reshape_alias", "diagonal", "unfold",
}  # fmt: skip
COMPARED = 5  # batches


@dataclass(frozen=True)
class Layer:
    """One layer with weights: ``kind`` is "conv" or "linear"; shapes include the batch; ``parameters`` are names.

    ``active`` says whether what comes after it, up to the next layer or the output, is an activation function, that is,
    bends: no layer with weights could take its place. None where that could not be found out.
    """

    kind: str
    input_shape: tuple
    output_shape: tuple
    parameters: tuple
    last: bool = False
    active: bool | None = None


@dataclass(frozen=True)
class Structure:
    """A network's layers and operators in order, and whether a second process that ran them got the same output.

    Where it did not, ``problem`` says why.
    """

    layers: list
    operators: list
    verified: bool
    problem: str = ""

    def count(self, kind):
        """The number of layers of one kind."""
        return sum(layer.kind == kind for layer in self.layers)


def read(network, example, seconds):
    """Record one pass of a :class:`helpers.grading.remote.Network`, run it elsewhere, and count.

    Parameters
    ----------
    network : helpers.grading.remote.Network
    example : torch.Tensor
        A batch of inputs.
    seconds : float

    Returns
    -------
    Structure

    Raises
    ------
    Wrong
        If the network does not take such a batch.
    """
    recorded = network._ask("record", seconds, dict, example=example)
    # In a batch as large as those of a test: a network that shows other layers to a small batch is found out.
    size = len(example)
    fresh = torch.rand(1000, *example.shape[1:])
    answer, problem, shapes = network.predict(fresh, seconds=seconds), "", {}
    # In half precision, what is added up in another order differs in the second or third digit.
    near = 3e-2 if any(f"'{name}'" in str(recorded["steps"]) for name in ("bfloat16", "float16")) else 1e-3
    referee = network._worker.referee
    try:
        for batch, expected in list(zip(fresh.split(size), answer.split(size), strict=True))[:COMPARED]:
            output, shapes = referee.ask_to_play(recorded, batch, seconds)
            if output.shape != expected.shape or not torch.allclose(output.float(), expected.float(), near, near / 10):
                problem = "run again, it gives other numbers"
    except Wrong as wrong:
        shapes, problem = {}, getattr(wrong, "text", "") or wrong.message
    try:
        layers, operators, places = _count(recorded, shapes)
        if not problem:
            layers = _with_activity(layers, places, recorded, shapes, referee, example, seconds, near)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError):
        raise Stopped("Your program's process answered something else than it was asked.") from None
    return Structure(layers, operators, not problem, problem)


def _with_activity(layers, places, recorded, shapes, referee, example, seconds, near):
    # Between two layers something is affine if and only if f(a) + f(b) = f(a + b) + f(0), for all numbers a and b.
    recorded = {**recorded, "steps": [_straightened(step) for step in recorded["steps"]]}
    draw, questions = torch.Generator().manual_seed(0), []
    for place, made, _ in places:
        a, b = (3 * torch.randn(shapes[made], generator=draw) for _ in range(2))
        asked = [[later, name] for later, _, name in places if later > place]
        questions += [[place, numbers, asked] for numbers in (a, b, a + b, torch.zeros_like(a))]
    try:
        answers = referee.ask_to_respond(recorded, example, questions, seconds)
        found = []
        for number, layer in enumerate(layers):
            active, last = None, True
            *arrived, output = zip(*answers[4 * number : 4 * number + 4], strict=True)
            for values in arrived:
                if last and not all(torch.equal(values[0], each) for each in values):
                    active, last = _bends(*values, near), False
            found.append(replace(layer, last=last, active=_bends(*output, near) if last else active))
        return found
    except Wrong:
        return layers


def _bends(at_a, at_b, at_both, at_zero, near):
    at_a, at_b, at_both, at_zero = (each.double() for each in (at_a, at_b, at_both, at_zero))
    size = max((each - at_zero).abs().max().item() for each in (at_a, at_b, at_both))
    return (at_a + at_b - at_both - at_zero).abs().max().item() > 2 * near * size + near / 50 * at_zero.abs().max().item()


def _straightened(step):
    # Pooling and normalisation bend, too, but are no activation functions: here they become what does not. So does a
    # softmax, which another check looks for.
    name, arguments, settings, results = step
    operator = name.split(".")[1]
    first = results[0] if isinstance(results, list) and results else results
    if operator in ("max_pool2d", "max_pool2d_with_indices"):  # kernel_size, stride, padding, dilation, ceil_mode
        return ["aten.avg_pool2d.default", [*arguments[:4], *arguments[5:6]], settings, first]
    if operator == "adaptive_max_pool2d":
        return ["aten._adaptive_avg_pool2d.default", arguments, settings, first]
    if operator in NORMALISATIONS:
        return ["aten.clone.default", arguments[:1], {"dict": {}}, first]
    return step


def _count(recorded, shapes):
    steps, output, parameters = recorded["steps"], recorded["output"], set(recorded["parameters"])
    same = {}  # tensors that share their numbers are one, for asking what reaches the output

    def one(name):
        while name in same:
            name = same[name]
        return name

    sources = {"input": {"input"}} | {name: {name} for name in parameters}
    found, formulas = [], {}
    for place, (name, arguments, settings, results) in enumerate(steps):
        operator = name.split(".")[1].removesuffix("_")
        given, made = _references([arguments, settings]), _references(results)
        if operator in VIEWS and given:
            same.update({one(each): one(given[0]) for each in made if one(each) != one(given[0])})
        come_from = set().union(*(sources.get(each, set()) for each in given))
        for each in made:
            sources[each] = come_from | (sources.get(each, set()) if each in given else set())
        # How a weight was computed, so that two passes through one layer are told from two layers.
        formula = str([operator, arguments, settings])
        for each in given:
            formula = formula.replace(str({"ref": each}), f"<{formulas.get(each, each)}>")
        formulas |= {each: hash((formula, number)) for number, each in enumerate(made) if each not in given}
        layer = where = None
        if operator in CONVOLUTIONS | PRODUCTS:
            tensors = given[:2] if operator in CONVOLUTIONS else given
            data = [each for each in tensors if "input" in sources.get(each, ())]
            weights = [each for each in tensors if sources.get(each) and "input" not in sources[each]]
            if data and weights:
                names = sorted(
                    set().union(*(sources.get(each, set()) for each in given if "input" not in sources.get(each, ())))
                )
                layer = Layer(
                    "conv" if operator in CONVOLUTIONS else "linear",
                    tuple(shapes.get(data[0], ())),
                    tuple(shapes.get(made[0], ())),
                    tuple(each.removeprefix("state.") for each in names),
                )
                where = place, made[0], data[0], formulas.get(weights[0], weights[0])
        found.append((operator, given, made, layer, where))
    needed, layers, operators = {one(output)}, {}, []
    for operator, given, made, layer, where in reversed(found):
        if any(one(each) in needed for each in made):
            needed |= {one(each) for each in given}
            operators.append(operator)
            if layer:
                layers[layer.kind, layer.parameters, where[3]] = layer, where[:3]  # of several passes, the first
    in_order = sorted(layers.values(), key=lambda each: each[1])
    return [layer for layer, _ in in_order], operators[::-1], [where for _, where in in_order]


def _references(value):
    if isinstance(value, dict):
        return (
            [value["ref"]] if set(value) == {"ref"} else [name for each in value.values() for name in _references(each)]
        )
    if isinstance(value, (list, tuple)):
        return [name for each in value for name in _references(each)]
    return []
