"""Experiment 2, its layer: rungs 8 and 9 of ``solutions/02_conv2d.ipynb``."""

import torch
import torch.nn.functional as F

from helpers import mnist
from helpers.grading.experiments import Raised, TooSlow, Wrong
from helpers.grading.experiments.comparison import PAIR, TURNED, compare, normal
from helpers.grading.structure import ACTIVATIONS, PRODUCTS

SLOW = "Is my_conv2d slow (rung 7: loop over the cells of the kernel, not over the pixels), or the network large?"


def module_forward(worker, draw):
    """Rung 8, the layer and its numbers."""
    settings = {"in_channels": 2, "out_channels": 5, "kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 2)}
    layer = worker.build("Conv2D", **settings, seed=1)
    weight = _parameters(layer, settings)["weight"]
    if weight.unique().numel() < weight.numel() // 2:
        raise Wrong("The weights do not start at random.", "With equal numbers all filters would stay alike for ever.")
    # So many filters that the largest of their numbers is below 0.8 b once in 10⁹ gradings.
    many, bound = {"in_channels": 2, "out_channels": 200, "kernel_size": (3, 3)}, 18**-0.5
    wide = _parameters(worker.build("Conv2D", **many, seed=2), many)
    for name in ("weight", "bias"):
        low, high = wide[name].min().item(), wide[name].max().item()
        if not (-bound - 1e-6 <= low < -0.8 * bound and 0.8 * bound < high <= bound + 1e-6):
            raise Wrong(f"With 2 channels and kernels of 3×3, {name} starts between {low:.3f} and {high:.3f}, "
                        f"expected between {-bound:.3f} and {bound:.3f}.",
                        "b = 1 / √(in_channels · kernel height · kernel width), for weight and bias, on both sides of 0.")  # fmt: skip
    if "bias" in worker.build("Conv2D", 1, 1, 3, bias=False).state():
        raise Wrong("With bias=False the layer has a bias.", "self.bias = None then.")
    layer.load({"weight": normal(draw, 5, 2, 3, 2), "bias": normal(draw, 5)})
    state, images = layer.state(), normal(draw, 3, 2, 7, 8)
    found = layer.forward(images).output
    steps, frame = settings["stride"], settings["padding"]
    give = lambda stride=steps, padding=frame, numbers=state["bias"]: F.conv2d(images, state["weight"], numbers, stride, padding)
    keep = "Keep it in __init__ and hand it on in forward."
    compare(found, give(), [
        (TURNED, F.conv2d(images, state["weight"].flip(2, 3), state["bias"], steps, frame)),
        (("The layer ignores its bias.", keep), give(numbers=None)), (("The layer ignores its stride.", keep), give(stride=1)),
        (("The layer ignores its padding.", keep), give(padding=0)),
        (("The layer ignores its stride and its padding.", keep), give(1, 0)),
        (("The layer's stride and padding are exchanged.", "Mind the order of the arguments of my_conv2d."),
         give(frame, steps)),
        (("The pair of the stride is taken the wrong way round.", PAIR), give(stride=steps[::-1])),
        (("The pair of the padding is taken the wrong way round.", PAIR), give(padding=frame[::-1])),
    ])  # fmt: skip
    layer = worker.build("Conv2D", 2, 3, 3, bias=False)
    compare(layer.forward(images).output, F.conv2d(images, layer.state()["weight"]), where=", with bias=False")


def module_gradients(worker, draw):
    """Rung 8, the gradients."""
    cut = "Look for .item(), .tolist(), .detach(), .data, torch.tensor(…) or torch.no_grad() in what forward calls."
    for stride, padding in ((1, 0), (2, 1)):
        settings = {"in_channels": 3, "out_channels": 4, "kernel_size": (2, 3), "stride": stride, "padding": padding}
        layer, reference = worker.build("Conv2D", **settings), torch.nn.Conv2d(**settings)
        reference.load_state_dict(_parameters(layer, settings))
        images = normal(draw, 3, 3, 7, 8)
        expected = reference(images.requires_grad_())
        gradient = normal(draw, *expected.shape)
        expected.backward(gradient)
        try:
            found = layer.forward(images.detach(), gradient=gradient)
        except Raised as error:
            if "does not require grad" in error.text:
                raise Wrong("The output is cut off from weights and input: nothing can be learned.", cut) from None
            if "Mismatch in shape" in error.text:
                raise Wrong("The output has another shape than it should.", "Mend the numbers of the layer first.") from None
            if "modified by an inplace" in error.text:
                raise Wrong("A tensor that the backward pass needs was changed in place.",
                            "Write output = output + part in the place of output += part.") from None  # fmt: skip
            raise
        try:
            compare(found.output, expected.detach())
        except Wrong:
            raise Wrong("The output is wrong already, and so are its gradients.", "See the check before this one.") from None
        names = {"input": (found.input_gradients or [None])[0], **{name: found.gradients.get(name) for name in ("weight", "bias")}}
        for name, wanted in {"input": images.grad, "weight": reference.weight.grad, "bias": reference.bias.grad}.items():
            if not isinstance(names[name], torch.Tensor) or not names[name].any():
                raise Wrong(f"There is no gradient for {name}: the output is cut off from it.", cut)
            wrong = (f"The gradient of {name} is wrong.", "Does your own backward pass, or a detour by .data, leave something out?")
            try:
                compare(names[name], wanted)
            except Wrong:
                raise Wrong(*wrong) from None


def network(worker, draw):
    """Rung 9: three layers of one's own and two linear ones, which learn."""
    try:
        _network(worker, draw)
    except TooSlow as slow:
        raise TooSlow(slow.message, SLOW + " Or is there a loop that never ends?") from None


def _network(worker, draw):
    model = worker.build("CNN", seed=1, example=torch.zeros(2, 1, 28, 28))
    weights = {name: value for name, value in model.state().items() if isinstance(value, torch.Tensor)}
    own, linear = (sum(name.endswith("weight") and value.ndim == axes for name, value in weights.items()) for axes in (4, 2))
    if (own, linear) != (3, 2):
        raise Wrong(f"The network has {own} convolutional and {linear} linear layers, expected 3 and 2.",
                    "Counted are the parameters with four axes and with two. nn.Module does not look into Python lists: "
                    "use nn.Sequential or nn.ModuleList.")  # fmt: skip
    _active(model, torch.rand(10, 1, 28, 28, generator=draw))
    images, labels = mnist.load("train")
    chosen = torch.randperm(len(images), generator=draw)[:40]
    images, labels = images[chosen], labels[chosen]
    # The judge trains, with the gradients that the network gives.
    state, first = {name: torch.nn.Parameter(value) for name, value in weights.items() if value.is_floating_point()}, None
    optimizer = torch.optim.Adam(state.values(), lr=0.003)
    for _ in range(25):
        scores = model.forward(images).output
        if not isinstance(scores, torch.Tensor) or scores.shape != (40, 10):
            raise Wrong(f"40 images give scores of shape {tuple(getattr(scores, 'shape', ()))}, expected (40, 10).",
                        "One logit for each of the ten digits.")  # fmt: skip
        first = F.cross_entropy(scores, labels) if first is None else first
        gradient = (scores.softmax(1) - F.one_hot(labels, 10)) / len(labels)
        for name, value in model.forward(images, gradient=gradient).gradients.items():
            if not isinstance(value, torch.Tensor) or not value.isfinite().all():
                raise Wrong(f"There is no gradient for {name}.", "Is every layer used in forward, and none cut off?")
            state[name].grad = value
        optimizer.step()
        model.load({**weights, **{name: value.detach() for name, value in state.items()}})
    logits = model.forward(images).output
    last = F.cross_entropy(logits, labels)
    if not last < 0.6 * first:
        raise Wrong(f"In 25 steps on 40 images the loss went from {first:.2f} to {last:.2f}: the network hardly learns.",
                    "Is the activation function between the layers a ReLU? A sigmoid learns too slowly here.")  # fmt: skip


def _active(model, images):
    # An activation function between each layer and the next, and none after the last.
    try:
        names = model.operators(images)
    except Raised as error:
        if "one pass uses more than" not in error.text:
            raise
        raise Wrong(f"Too slow to train: for {len(images)} images, {error.text}.", SLOW) from None
    active = [place for place, name in enumerate(names) if name in ACTIVATIONS and names[place - 1] not in ACTIVATIONS]
    last = max((place for place, name in enumerate(names) if name in PRODUCTS), default=len(names))
    if "_softmax" in names[last:]:
        raise Wrong("There is a softmax at the end of the network.", "Return logits: the loss does the softmax itself.")
    if active and active[-1] > last:
        raise Wrong("There is an activation function after the last layer.", "Logits may be any number: leave them as they are.")
    if len(active) < 4:
        raise Wrong(f"The network has {len(active)} activation functions, expected are 4: one after each layer but the last.",
                    "Two layers without one between them are no more than one (chapter 2): add a ReLU.")  # fmt: skip


def _parameters(layer, settings):
    # weight and bias of a layer made with these settings, which is what their shapes have to fit.
    state, count = layer.state(), settings["out_channels"]
    made = f"Conv2D({', '.join(f'{name}={value}' for name, value in settings.items())})"
    for name, shape in {"weight": (count, settings["in_channels"], *settings["kernel_size"]), "bias": (count,)}.items():
        if not isinstance(state.get(name), torch.Tensor):
            raise Wrong(f"{name} is not a parameter of the layer.", f"Assign it in __init__: self.{name} = nn.Parameter(…).")
        if tuple(state[name].shape) != shape:
            raise Wrong(f"{name} has shape {tuple(state[name].shape)}, expected {shape} for {made}.",
                        "weight is (out_channels, in_channels, kernel height, kernel width), bias (out_channels).")  # fmt: skip
    return {name: state[name] for name in ("weight", "bias")}
