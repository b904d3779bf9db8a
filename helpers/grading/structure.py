"""The layers of a learner's network, counted from what it computes: any nesting and any spelling gives the same answer.

A convolution is an operator that convolves what comes from the input with what comes from the parameters; a linear
layer is a matrix product of such two. What never reaches the output does not count.
"""

from dataclasses import dataclass

import torch

from helpers.grading.experiments import Stopped, Wrong

CONVOLUTIONS = {"convolution", "mkldnn_convolution", "_convolution", "cudnn_convolution"}
PRODUCTS = {"addmm", "mm", "bmm", "baddbmm", "matmul", "linear", "mv", "addmv", "dot"}
VIEWS = {
    "view", "_unsafe_view", "reshape", "permute", "transpose", "t", "expand", "squeeze", "unsqueeze", "slice", "select",
    "split", "chunk", "unbind", "narrow", "detach", "alias", "as_strided", "_reshape_alias", "diagonal", "unfold",
}  # fmt: skip
COMPARED = 5  # batches


@dataclass(frozen=True)
class Layer:
    """One layer with weights: ``kind`` is "conv" or "linear"; shapes include the batch; ``parameters`` are names."""

    kind: str
    input_shape: tuple
    output_shape: tuple
    parameters: tuple


@dataclass(frozen=True)
class Structure:
    """A network's layers and operators in order, and whether a second process that ran them got the same output."""

    layers: list
    operators: list
    verified: bool

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
    answer, verified, shapes = network.predict(fresh, seconds=seconds), True, {}
    try:
        for batch, expected in list(zip(fresh.split(size), answer.split(size), strict=True))[:COMPARED]:
            output, shapes = network._worker.referee.ask_to_play(recorded, batch, seconds)
            verified &= output.shape == expected.shape and torch.allclose(output, expected, rtol=1e-3, atol=1e-4)
    except Wrong:
        shapes, verified = {}, False
    try:
        layers, operators = _count(recorded, shapes)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError):
        raise Stopped("Your program's process answered something else than it was asked.") from None
    return Structure(layers, operators, bool(verified))


def _count(recorded, shapes):
    steps, output, parameters = recorded["steps"], recorded["output"], set(recorded["parameters"])
    same = {}  # tensors that share their numbers are one, for asking what reaches the output

    def one(name):
        while name in same:
            name = same[name]
        return name

    sources = {"input": {"input"}} | {name: {name} for name in parameters}
    found = []
    for name, arguments, settings, results in steps:
        operator = name.split(".")[1].removesuffix("_")
        given, made = _references([arguments, settings]), _references(results)
        if operator in VIEWS and given:
            same.update({one(each): one(given[0]) for each in made if one(each) != one(given[0])})
        come_from = set().union(*(sources.get(each, set()) for each in given))
        for each in made:
            sources[each] = come_from | (sources.get(each, set()) if each in given else set())
        layer = None
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
        found.append((operator, given, made, layer))
    needed, layers, operators = {one(output)}, [], []
    for operator, given, made, layer in reversed(found):
        if any(one(each) in needed for each in made):
            needed |= {one(each) for each in given}
            operators.append(operator)
            layers += [layer] if layer else []
    return layers[::-1], operators[::-1]


def _references(value):
    if isinstance(value, dict):
        return (
            [value["ref"]] if set(value) == {"ref"} else [name for each in value.values() for name in _references(each)]
        )
    if isinstance(value, (list, tuple)):
        return [name for each in value for name in _references(each)]
    return []
