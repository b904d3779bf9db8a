"""Experiment 2, a Conv2D of one's own: the rungs of ``solutions/02_conv2d.ipynb``, each compared with torch's convolution.

A wrong answer is compared with what known mistakes would give for the same random inputs; the one that fits is named.
"""

import torch
import torch.nn.functional as F

from helpers import mnist
from helpers.grading.experiments import Check, Experiment, Foreign, Missing, Raised, Wrong

LADDER = ("one_window", "slide", "conv_channels", "conv_bias", "conv_stride", "conv_padding", "my_conv2d")
TURNED = (
    "The kernel is turned by 180°.",
    "PyTorch does not turn it: kernel[0, 0] lies on the top left cell of the window.",
)
BIAS_ONCE = "bias[o] belongs to the whole map o: bias[:, None, None] has the shape for that."
PAIR = "A pair is (rows, columns). F.pad is the exception: it wants the columns first."


def compare(answer, expected, mistakes=(), where=""):
    """Raise Wrong unless the answer is the expected tensor, naming the mistake that gives this answer.

    Parameters
    ----------
    answer : anything
    expected : torch.Tensor
    mistakes : list of ((message, hint), tensor)
        The first one whose tensor is the answer is named.
    where : str
        With which settings; added to the message.
    """
    if not isinstance(answer, torch.Tensor):
        kind = answer.kind if isinstance(answer, Foreign) else type(answer).__name__
        raise Wrong(f"The answer is {kind} and not a tensor{where}.", "Does the function end in return?")
    if not (answer.is_floating_point() and answer.isfinite().all()):
        raise Wrong(f"The answer holds numbers that are not finite, or whole numbers{where}.",
                    "new_zeros makes a tensor of the same type; torch.empty holds whatever was in memory.")  # fmt: skip

    def same(other):
        return answer.shape == other.shape and torch.allclose(answer.double(), other.double(), rtol=1e-4, atol=1e-4)

    if same(expected):
        return
    for (message, hint), wrong in mistakes:
        if same(wrong):
            raise Wrong(message.removesuffix(".") + f"{where}.", hint)
    if answer.shape != expected.shape:
        raise Wrong(f"The result has shape {tuple(answer.shape)}, expected {tuple(expected.shape)}{where}.",
                    "Compute rows and columns on paper for this size.")  # fmt: skip
    off = ((answer.double() - expected.double()).abs() > 1e-4 + 1e-4 * expected.double().abs()).sum().item()
    raise Wrong(f"The shape is right, but {off} of {answer.numel()} numbers are not{where}.",
                "Compare with PyTorch on an input of zeros with a single 1 in it, and see where that 1 ends up.")  # fmt: skip


def one_window(worker, draw):
    """Rung 1."""
    window, kernel = _numbers(draw, 4, 4), _numbers(draw, 4, 4)
    products = window * kernel
    mean = ("That is the mean of the products.", "A convolution adds them up.")
    apart = ("The products are not added up.", "Every tensor has a method sum().")
    matrix = ("That is the product of two matrices.", "The operator @ multiplies matrices; * multiplies cell by cell.")
    exchanged = ("The kernel lies on the window with rows and columns exchanged.", "No transposing is needed.")
    compare(worker.call("one_window", window, kernel), products.sum(), [
        (TURNED, (window * kernel.flip(0, 1)).sum()), (mean, products.mean()), (apart, products),
        (matrix, (window @ kernel).sum()), (matrix, window @ kernel), (exchanged, (window * kernel.T).sum()),
    ])  # fmt: skip
    compare(worker.call("one_window", window[:2], kernel[:2]), products[:2].sum(), where=", for a window of 2 rows and 4 columns")


def slide(worker, draw):
    """Rung 2."""
    for rows, columns, kernel_size in ((7, 9, (3, 2)), (6, 6, (2, 4)), (3, 5, (3, 5))):
        image, kernel = _numbers(draw, rows, columns), _numbers(draw, *kernel_size)
        expected = _convolve(image[None], kernel[None, None])[0]
        short = ("A row and a column of the map are missing.", "A window of 3 fits into 7 cells in 7 − 3 + 1 = 5 places.")
        exchanged = ("Rows and columns of the map are exchanged.", "map[i, j] belongs to row i and column j.")
        compare(worker.call("slide", image, kernel), expected, [
            (TURNED, _convolve(image[None], kernel.flip(0, 1)[None, None])[0]), (short, expected[:-1, :-1]),
            (short, F.pad(expected[:-1, :-1], (0, 1, 0, 1))), (exchanged, expected.T),
            (("The map is all zeros.", "Do you write into it, and return it?"), expected * 0),
        ], f", for an image of {rows}×{columns} and a kernel of {kernel_size[0]}×{kernel_size[1]}")  # fmt: skip


def channels(worker, draw):
    """Rung 3."""
    image, weight = _numbers(draw, 3, 7, 6), _numbers(draw, 4, 3, 3, 2)
    expected = _convolve(image, weight)
    apart = torch.stack([_convolve(image[c : c + 1], weight[:, c : c + 1]) for c in range(3)], dim=1)
    add = "The maps of one filter are added up, over all its input channels."
    compare(worker.call("conv_channels", image, weight), expected, [
        (TURNED, _convolve(image, weight.flip(2, 3))),
        (("Only channel 0 was used.", add), apart[:, 0]),
        (("Only the last channel counts: each one overwrites the one before.", add), apart[:, -1]),
        (("The channels were averaged.", "A convolution adds them up."), expected / 3),
        (("The channels were not added up.", add), apart),
        (("The sum runs over the filters, where it should run over the channels.", add), apart.sum(0)),
        (("The filters were added up.", "Each filter gives a map of its own."), expected.sum(0)),
        (("The channels meet the kernels in reverse order.", "weight[o, c] belongs to image[c]."),
         _convolve(image, weight.flip(1))),
        (("The maps are in reverse order.", "Map o belongs to weight[o]."), expected.flip(0)),
    ])  # fmt: skip
    image, weight = _numbers(draw, 3, 5, 6), _numbers(draw, 3, 3, 2, 2)
    exchanged = ("The first two axes of weight are exchanged.", "weight has the shape (out_channels, in_channels, …).")
    compare(worker.call("conv_channels", image, weight), _convolve(image, weight), [
        (exchanged, _convolve(image, weight.transpose(0, 1))),
    ], ", for as many filters as channels")  # fmt: skip


def bias(worker, draw):
    """Rung 4."""
    weight, numbers = _numbers(draw, 4, 2, 3, 3), _numbers(draw, 4)
    for rows, columns in ((6, 5), (5, 6), (7, 8)):
        image = _numbers(draw, 2, rows, columns)
        plain, expected = _convolve(image, weight), _convolve(image, weight, numbers)
        mistakes = [
            (TURNED, _convolve(image, weight.flip(2, 3), numbers)),
            (("The bias is missing.", "Add bias[o] to map o, after the sum over the channels."), plain),
            (("The bias is subtracted.", "It is added."), plain - numbers[:, None, None]),
            (("All filters share the bias of filter 0.", BIAS_ONCE), plain + numbers[0]),
            (("All filters share one bias, the sum of all.", BIAS_ONCE), plain + numbers.sum()),
            (("The bias was added once for each input channel.", "It is added once, after the sum over the channels."),
             plain + 2 * numbers[:, None, None]),
        ]  # fmt: skip
        for axis, broken in (("columns", numbers), ("rows", numbers[:, None])):
            if plain.shape[2 if axis == "columns" else 1] == len(numbers):
                mistakes.append(((f"The bias lies along the {axis} of the map.", BIAS_ONCE), plain + broken))
        try:
            answer = worker.call("conv_bias", image, weight, numbers)
        except Raised as error:
            if "must match the size" not in error.text:
                raise
            raise Wrong("The bias does not fit the maps: " + error.text, BIAS_ONCE) from None
        compare(answer, expected, mistakes, f", for a map of {rows - 2}×{columns - 2}")
    try:
        answer = worker.call("conv_bias", image, weight)
    except Raised as error:
        raise Wrong(f"Without a bias it fails: {error.text}", "bias=None is the default and means: no bias.") from None
    compare(answer, plain, where=", without a bias")


def stride(worker, draw):
    """Rung 5."""
    image, weight, numbers = _numbers(draw, 2, 10, 11), _numbers(draw, 3, 2, 3, 2), _numbers(draw, 3)
    for setting in (1, 2, (1, 3), (3, 2)):
        down, right = _pair(setting)
        give = lambda *steps: _convolve(image, weight, numbers, stride=steps)
        expected = give(down, right)
        rows, columns = expected.shape[1:]
        compare(worker.call("conv_stride", image, weight, numbers, stride=setting), expected, [
            (TURNED, _convolve(image, weight.flip(2, 3), numbers, stride=(down, right))),
            (("The stride has no effect.", "map[i, j] looks at the window that begins at row i · stride."), give(1, 1)),
            *([(("The stride works on the rows alone.", "An integer counts for rows and columns."), give(2, 1)),
               (("The stride works on the columns alone.", "An integer counts for rows and columns."), give(1, 2))]
              if setting == 2 else []),
            (("The pair of the stride is taken the wrong way round.", PAIR), give(right, down)),
            (("The stride of the columns is not used.", "The second number of the pair is for the columns."), give(down, down)),
            (("The stride of the rows is not used.", "The first number of the pair is for the rows."), give(right, right)),
            (("The map has the right size, but its windows lie one cell apart.",
              "map[i, j] looks at the window that begins at row i · stride."), give(1, 1)[:, :rows, :columns]),
            (("The bias is missing.", "All that rung 4 does stays."), _convolve(image, weight, stride=(down, right))),
        ], f", for stride={setting}")  # fmt: skip


def padding(worker, draw):
    """Rung 6."""
    image, weight, numbers = _numbers(draw, 2, 7, 8), _numbers(draw, 3, 2, 3, 4), _numbers(draw, 3)

    def framed(left, right, top, bottom, stride=1, **frame):
        return _convolve(F.pad(image, (left, right, top, bottom), **frame), weight, numbers, stride=stride)

    for setting, steps in ((0, 1), (1, 1), (2, 1), ((2, 1), 1), ((0, 3), (2, 1))):
        r, c = _pair(setting)
        give = lambda *sides, steps=steps, **frame: framed(*sides, stride=steps, **frame)
        compare(worker.call("conv_padding", image, weight, numbers, stride=steps, padding=setting), give(c, c, r, r), [
            (TURNED, _convolve(F.pad(image, (c, c, r, r)), weight.flip(2, 3), numbers, stride=steps)),
            (("The padding has no effect.", "Make the larger image first, then slide over that."), give(0, 0, 0, 0)),
            (("The padding is one-sided: above and on the left only.", "The zeros go on both sides."), give(c, 0, r, 0)),
            (("The padding is one-sided: below and on the right only.", "The zeros go on both sides."), give(0, c, 0, r)),
            (("The padding is on the left and right only.", "Add rows above and below too."), give(c, c, 0, 0)),
            (("The padding is above and below only.", "Add columns on the left and right too."), give(0, 0, r, r)),
            (("The pair of the padding is taken the wrong way round.", PAIR), give(r, r, c, c)),
            (("The frame repeats the border of the image.", "Padding adds zeros."), give(c, c, r, r, mode="replicate")),
            (("The frame holds ones.", "Padding adds zeros."), give(c, c, r, r, value=1.0)),
            (("The frame was put around the result.", "It goes around the image, before the window slides."),
             F.pad(give(0, 0, 0, 0), (c, c, r, r))),
            (("The stride is lost.", "Hand it on to what slides the window."), framed(c, c, r, r)),
            (("The bias is lost.", "Hand it on to what slides the window."), give(c, c, r, r) - numbers[:, None, None]),
        ], f", for padding={setting} and stride={steps}")  # fmt: skip


def batch(worker, draw):
    """Rung 7."""
    images, weight, numbers = _numbers(draw, 3, 2, 8, 9), _numbers(draw, 4, 2, 3, 2), _numbers(draw, 4)
    for settings in ({}, {"stride": 2}, {"padding": 1}, {"stride": (1, 2), "padding": (2, 0)}, {"stride": 3, "padding": 2}):
        _function(worker, "my_conv2d", images, weight, numbers, settings)
    compare(worker.call("my_conv2d", images[:1], weight), F.conv2d(images[:1], weight), where=", without a bias")
    weight = _numbers(draw, 2, 2, 3, 3)
    _function(worker, "my_conv2d", images, weight, None, {"padding": 1})


def module_forward(worker, draw):
    """Rung 8, the layer and its numbers."""
    settings = {"in_channels": 2, "out_channels": 5, "kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 2)}
    layer = worker.build("Conv2D", **settings, seed=1)
    state, shapes = layer.state(), {"weight": (5, 2, 3, 2), "bias": (5,)}
    for name, shape in shapes.items():
        if not isinstance(state.get(name), torch.Tensor):
            raise Wrong(f"{name} is not a parameter of the layer.", f"Assign it in __init__: self.{name} = nn.Parameter(…).")
        if tuple(state[name].shape) != shape:
            raise Wrong(f"{name} has shape {tuple(state[name].shape)}, expected {shape} for {settings}.",
                        "weight is (out_channels, in_channels, kernel height, kernel width), bias (out_channels).")  # fmt: skip
    weight, bound = state["weight"], (2 * 3 * 2) ** -0.5
    if weight.unique().numel() < weight.numel() // 2:
        raise Wrong("The weights do not start at random.", "With equal numbers all filters would stay alike for ever.")
    if not weight.abs().max() <= bound + 1e-6:
        raise Wrong(f"The weights start too large: up to {weight.abs().max():.2f}, expected at most {bound:.2f}.",
                    "b = 1 / √(in_channels · kernel height · kernel width).")  # fmt: skip
    if "bias" in worker.build("Conv2D", 1, 1, 3, bias=False).state():
        raise Wrong("With bias=False the layer has a bias.", "self.bias = None then.")
    layer.load({"weight": _numbers(draw, 5, 2, 3, 2), "bias": _numbers(draw, 5)})
    state, images = layer.state(), _numbers(draw, 3, 2, 7, 8)
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
        layer = worker.build("Conv2D", 3, 4, (2, 3), stride=stride, padding=padding)
        reference = torch.nn.Conv2d(3, 4, (2, 3), stride=stride, padding=padding)
        reference.load_state_dict(_only_tensors(layer.state(), ("weight", "bias")))
        images = _numbers(draw, 3, 3, 7, 8)
        expected = reference(images.requires_grad_())
        gradient = _numbers(draw, *expected.shape)
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
    model = worker.build("CNN", seed=1)
    weights = {name: value for name, value in model.state().items() if isinstance(value, torch.Tensor)}
    own, linear = (sum(name.endswith("weight") and value.ndim == axes for name, value in weights.items()) for axes in (4, 2))
    if (own, linear) != (3, 2):
        raise Wrong(f"The network has {own} convolutional and {linear} linear layers, expected 3 and 2.",
                    "Counted are the weights with four axes and with two.")  # fmt: skip
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
                    "Is there a ReLU after each layer but the last, and no softmax at the end?")  # fmt: skip


def dilation(worker, draw):
    """Optional."""
    images, weight, numbers = _numbers(draw, 2, 3, 12, 13), _numbers(draw, 4, 3, 3, 2), _numbers(draw, 4)
    for settings in ({"dilation": 1}, {"dilation": 2}, {"dilation": (1, 3), "stride": 2, "padding": (2, 1)}):
        give = lambda settings=settings, **other: F.conv2d(images, weight, numbers, **(settings | other))
        apart = _pair(settings["dilation"])
        _optional(worker, "my_dilated_conv2d", (images, weight, numbers), settings, give(), [
            (("The dilation has no effect.", "The cells of the kernel lie that far apart."), give(dilation=1)),
            (("The cells of the kernel lie one too far apart.", "dilation=2 leaves one cell between two of them."),
             give(dilation=(apart[0] + 1, apart[1] + 1))),
            (("The pair of the dilation is taken the wrong way round.", PAIR), give(dilation=apart[::-1])),
        ])  # fmt: skip


def groups(worker, draw):
    """Optional."""
    images = _numbers(draw, 2, 6, 7, 8)
    for settings in ({"groups": 1}, {"groups": 2}, {"groups": 3, "stride": 2, "padding": 1}, {"groups": 6}):
        count = settings["groups"]
        weight, numbers = _numbers(draw, 6, 6 // count, 3, 3), _numbers(draw, 6)
        expected = F.conv2d(images, weight, numbers, **settings)
        # Filters taken as cards are dealt, and channels so.
        dealt = torch.arange(6).reshape(-1, count).T.flatten()
        halves = "With groups=2 the first half of the filters sees the first half of the channels."
        _optional(worker, "my_grouped_conv2d", (images, weight, numbers), settings, expected, [
            (("The groups are mixed: the filters are dealt out in turn.", halves),
             F.conv2d(images, weight[dealt], numbers, **settings)),
            (("The groups are mixed: the filters are dealt out in turn.", halves),
             F.conv2d(images, weight[dealt], numbers[dealt], **settings)),
            (("The groups are mixed: the channels are dealt out in turn.", halves),
             F.conv2d(images[:, dealt], weight, numbers, **settings)),
            (("The bias is missing.", "All filters have their bias, whatever their group."), F.conv2d(images, weight, **settings)),
        ])  # fmt: skip


def _optional(worker, name, tensors, settings, expected, mistakes):
    try:
        compare(worker.call(name, *tensors, **settings), expected, mistakes, f", for {settings}")
    except Missing:
        raise Wrong("Not done; this rung is optional.") from None
    except Raised as error:
        if error.kind == "NotImplementedError":
            raise Wrong("Not done; this rung is optional.") from None
        raise


def _function(worker, name, images, weight, numbers, settings):
    # A call with the arguments of F.conv2d, and what usually goes wrong with it.
    stride, padding = _pair(settings.get("stride", 1)), _pair(settings.get("padding", 0))
    give = lambda weight=weight, numbers=numbers, stride=stride, padding=padding: F.conv2d(images, weight, numbers, stride, padding)
    expected = give()
    mistakes = [
        (TURNED, give(weight.flip(2, 3))),
        (("The bias is missing.", "Add bias[o] to map o."), give(numbers=None)),
        (("The stride has no effect.", "Take every stride-th row and column."), give(stride=1)),
        (("The padding has no effect.", "Make the larger images first."), give(padding=0)),
        (("The pair of the stride is taken the wrong way round.", PAIR), give(stride=stride[::-1])),
        (("The stride of the columns is not used.", "The second number of the pair is for the columns."), give(stride=stride[0])),
        (("The stride of the rows is not used.", "The first number of the pair is for the rows."), give(stride=stride[1])),
        (("The pair of the padding is taken the wrong way round.", PAIR), give(padding=padding[::-1])),
        (("Every image of the batch got the result of the first.", "Do all steps keep the first axis?"),
         expected[:1].expand_as(expected)),
        (("Only the last cell of the kernel counts: each one overwrites the one before.", "Add up what the cells give."),
         give(F.pad(weight[:, :, -1:, -1:], (weight.shape[3] - 1, 0, weight.shape[2] - 1, 0)))),
        (("The padding is one-sided: above and on the left only.", "The zeros go on both sides."),
         F.conv2d(F.pad(images, (padding[1], 0, padding[0], 0)), weight, numbers, stride)),
    ]  # fmt: skip
    if numbers is not None:
        plain = give(numbers=None)
        mistakes.append((("All filters share the bias of filter 0.", BIAS_ONCE), plain + numbers[0]))
    if weight.shape[0] == weight.shape[1]:
        exchanged = ("The first two axes of weight are exchanged.", "weight has the shape (out_channels, in_channels, …).")
        mistakes.append((exchanged, give(weight.transpose(0, 1))))
    answer = worker.call(name, images, weight, numbers, **settings)
    compare(answer, expected, mistakes, f", for {settings}" if settings else "")


def _only_tensors(state, names):
    missing = [name for name in names if not isinstance(state.get(name), torch.Tensor)]
    if missing:
        raise Wrong(f"{missing[0]} is not a parameter of the layer.", f"Assign it in __init__: self.{missing[0]} = nn.Parameter(…).")
    return {name: state[name] for name in names}


def _numbers(draw, *shape):
    return torch.randn(*shape, generator=draw)


def _pair(setting):
    return (setting, setting) if isinstance(setting, int) else setting


def _convolve(image, weight, bias=None, stride=1):
    return F.conv2d(image[None], weight, bias, stride)[0]


EXPERIMENT = Experiment(
    name="conv2d",
    title="Experiment 2: your own Conv2D",
    stem="02_conv2d",
    seconds=90,
    names=(*LADDER, "Conv2D", "CNN", "my_dilated_conv2d", "my_grouped_conv2d"),
    checks=[
        Check("Rung 1: one window", 4, one_window, LADDER[:1]),
        Check("Rung 2: sliding", 10, slide, LADDER[1:2]),
        Check("Rung 3: channels and filters", 12, channels, LADDER[2:3]),
        Check("Rung 4: bias", 8, bias, LADDER[3:4]),
        Check("Rung 5: stride", 12, stride, LADDER[4:5]),
        Check("Rung 6: padding", 12, padding, LADDER[5:6]),
        Check("Rung 7: a batch", 14, batch, LADDER[6:7]),
        Check("Rung 8: the layer", 10, module_forward, ("Conv2D",)),
        Check("Rung 8: its gradients", 10, module_gradients, ("Conv2D",)),
        Check("Rung 9: in a network", 8, network, ("CNN",)),
        Check("Optional: dilation", 0, dilation, ("my_dilated_conv2d",)),
        Check("Optional: groups", 0, groups, ("my_grouped_conv2d",)),
    ],
    forbidden=(
        "torch.conv*", "torch.nn.functional.conv*", "torch.nn.Conv*", "torch.nn.LazyConv*", "torch.nn.modules.conv",
        "torch.nn.functional.unfold", "torch.nn.functional.fold", "torch.nn.Unfold", "torch.nn.Fold", "torch.nn.modules.fold",
        "torch.nn.grad", "torch.ops", "torch._C", "torch.mkldnn*", "torch.cudnn*", "torch.miopen*", "torchvision.ops",
        "torch.ao", "torch.nn.quantized", "torch.nn.intrinsic", "helpers.conv", "helpers.windows", "helpers.strips",
        "scipy", "numpy.convolve", "numpy.correlate", "cv2", "skimage", "PIL", "jax", "tensorflow", "keras",
    ),
    forbidden_operators=("*convolution*", "*conv1d*", "*conv2d*", "*conv3d*", "*conv_*", "im2col*", "col2im*", "*mkldnn*"),
)  # fmt: skip
