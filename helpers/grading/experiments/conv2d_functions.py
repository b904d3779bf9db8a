"""Experiment 2, its functions: rungs 1 to 7 of ``solutions/02_conv2d.ipynb`` and the two optional ones."""

import torch
import torch.nn.functional as F

from helpers.grading.experiments import Raised, Result, Wrong
from helpers.grading.experiments.comparison import BIAS_ONCE, PAIR, TURNED, compare, compare_without_bias, normal, pair


def one_window(worker, draw):
    """Rung 1."""
    window, kernel = normal(draw, 4, 4), normal(draw, 4, 4)
    products = window * kernel
    mean = ("That is the mean of the products.", "A convolution adds them up.")
    apart = ("The products are not added up.", "Every tensor has a method sum().")
    matrix = ("That is the product of two matrices.", "The operator @ multiplies matrices; * multiplies cell by cell.")
    exchanged = ("The kernel lies on the window with rows and columns exchanged.", "No transposing is needed.")
    half = ("There are still 4 numbers: the products are added up along one axis only.",
            "tensor.sum() without arguments adds up all of them; Python's sum(…) only adds up the rows.")  # fmt: skip
    compare(worker.call("one_window", window, kernel), products.sum(), [
        (TURNED, (window * kernel.flip(0, 1)).sum()), (mean, products.mean()), (apart, products),
        (matrix, (window @ kernel).sum()), (matrix, window @ kernel), (exchanged, (window * kernel.T).sum()), (half, products.sum(0)), (half, products.sum(1)),
    ], wrong_shape="The result is a single number: tensor.sum() without arguments.")  # fmt: skip
    compare(worker.call("one_window", window[:2], kernel[:2]), products[:2].sum(), where=", for a window of 2 rows and 4 columns")


def slide(worker, draw):
    """Rung 2."""
    for rows, columns, kernel_size in ((7, 9, (3, 2)), (6, 6, (2, 4)), (3, 5, (3, 5))):
        image, kernel = normal(draw, rows, columns), normal(draw, *kernel_size)
        expected = _convolve(image[None], kernel[None, None])[0]
        short = ("A row and a column of the map are missing.", "A window of 3 fits into 7 cells in 7 − 3 + 1 = 5 places.")
        exchanged = ("Rows and columns of the map are exchanged.", "map[i, j] belongs to row i and column j.")
        sizes = f", for an image of {rows}×{columns} and a kernel of {kernel_size[0]}×{kernel_size[1]}"
        try:
            answer = worker.call("slide", image, kernel)
        except Raised as error:
            if "must match" not in error.text:
                raise
            raise Wrong(f"A window and the kernel do not fit together ({error.text}){sizes}.",
                        "Does a window stick out of the image, because i and j run too far? "
                        "Has it as many rows and columns as the kernel?") from None  # fmt: skip
        early = ("Only the first {} is filled in.", "Does return stand inside of a loop?")
        compare(answer, expected, [
            (TURNED, _convolve(image[None], kernel.flip(0, 1)[None, None])[0]), (short, expected[:-1, :-1]),
            (short, F.pad(expected[:-1, :-1], (0, 1, 0, 1))), (exchanged, expected.T),
            (("The map is all zeros.", "Do you write into it, and return it?"), expected * 0),
            ((early[0].format("row"), early[1]), _first(expected, 1, columns)),
            ((early[0].format("number"), early[1]), _first(expected, 1, 1)),
        ], sizes)  # fmt: skip


def channels(worker, draw):
    """Rung 3."""
    image, weight = normal(draw, 3, 7, 6), normal(draw, 4, 3, 3, 2)
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
        (("Every channel met the kernel of channel 0.", "Channel c has its own kernel, weight[o, c]."),
         _convolve(image, weight[:, :1].expand_as(weight))),
        (("Every map is that of filter 0.", "Map o belongs to weight[o]."), expected[:1].expand_as(expected)),
        (("Every map is that of the last filter.",
          "Do all places of your list hold the same tensor? Make a new one for each filter."), expected[-1:].expand_as(expected)),
        (("Each map has the maps of the filters before it in its sum.", "Begin at 0 for each filter."), expected.cumsum(0)),
    ])  # fmt: skip
    image, weight = normal(draw, 3, 5, 6), normal(draw, 3, 3, 2, 2)
    exchanged = ("The first two axes of weight are exchanged.", "weight has the shape (out_channels, in_channels, …).")
    compare(worker.call("conv_channels", image, weight), _convolve(image, weight), [
        (exchanged, _convolve(image, weight.transpose(0, 1))),
    ], ", for as many filters as channels")  # fmt: skip


def bias(worker, draw):
    """Rung 4."""
    weight, numbers = normal(draw, 4, 2, 3, 3), normal(draw, 4)
    for rows, columns in ((6, 5), (5, 6), (7, 8)):
        image = normal(draw, 2, rows, columns)
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
            # Elsewhere than here, it is not the bias that does not fit.
            if "must match the size" not in error.text or not error.place.endswith("in conv_bias"):
                raise
            raise Wrong("The bias does not fit the maps: " + error.text, BIAS_ONCE) from None
        compare(answer, expected, mistakes, f", for a map of {rows - 2}×{columns - 2}")
    compare_without_bias(worker, "conv_bias", (image, weight), plain)


def stride(worker, draw):
    """Rung 5."""
    image, weight, numbers = normal(draw, 2, 10, 11), normal(draw, 3, 2, 3, 2), normal(draw, 3)
    for setting in (1, 2, (1, 3), (3, 2)):
        down, right = pair(setting)
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
    compare_without_bias(worker, "conv_stride", (image, weight), _convolve(image, weight, stride=2), stride=2)


def padding(worker, draw):
    """Rung 6."""
    image, weight, numbers = normal(draw, 2, 7, 8), normal(draw, 3, 2, 3, 4), normal(draw, 3)

    def framed(left, right, top, bottom, stride=1, **frame):
        return _convolve(F.pad(image, (left, right, top, bottom), **frame), weight, numbers, stride=stride)

    for setting, steps in ((0, 1), (1, 1), (2, 1), ((2, 1), 1), ((0, 3), (2, 1))):
        r, c = pair(setting)
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
            (("The bias is missing.", "Hand it on to what slides the window."), give(c, c, r, r) - numbers[:, None, None]),
        ], f", for padding={setting} and stride={steps}")  # fmt: skip
    expected = _convolve(F.pad(image, (1, 1, 1, 1)), weight)
    compare_without_bias(worker, "conv_padding", (image, weight), expected, padding=1)


def batch(worker, draw):
    """Rung 7."""
    images, weight, numbers = normal(draw, 3, 2, 8, 9), normal(draw, 4, 2, 3, 2), normal(draw, 4)
    for settings in ({}, {"stride": 2}, {"padding": 1}, {"stride": (1, 2), "padding": (2, 0)}, {"stride": 3, "padding": 2}):
        _function(worker, "my_conv2d", images, weight, numbers, settings)
    compare_without_bias(worker, "my_conv2d", (images[:1], weight), F.conv2d(images[:1], weight))
    weight = normal(draw, 2, 2, 3, 3)
    _function(worker, "my_conv2d", images, weight, None, {"padding": 1})
    small, large = (_operations(worker, normal(draw, 1, 2, size, size), weight) for size in (6, 18))
    if large > 2 * small:
        return Result(0.5, f"The numbers are right, with a loop over pixels: {small} operations of PyTorch for an image of "
                      f"6×6, and {large} for one of 18×18. This counts half.",
                      "Loop over the cells of the kernel: then the number of operations does not grow with the image.")  # fmt: skip
    return None


def dilation(worker, draw):
    """Optional."""
    images, weight, numbers = normal(draw, 2, 3, 12, 13), normal(draw, 4, 3, 3, 2), normal(draw, 4)
    for settings in ({"dilation": 1}, {"dilation": 2}, {"dilation": (1, 3), "stride": 2, "padding": (2, 1)}):
        give = lambda settings=settings, **other: F.conv2d(images, weight, numbers, **(settings | other))
        apart = pair(settings["dilation"])
        compare(worker.call("my_dilated_conv2d", images, weight, numbers, **settings), give(), [
            (("The dilation has no effect.", "The cells of the kernel lie that far apart."), give(dilation=1)),
            (("The cells of the kernel lie one too far apart.", "dilation=2 leaves one cell between two of them."),
             give(dilation=(apart[0] + 1, apart[1] + 1))),
            (("The pair of the dilation is taken the wrong way round.", PAIR), give(dilation=apart[::-1])),
        ], f", for {settings}")  # fmt: skip


def groups(worker, draw):
    """Optional."""
    images = normal(draw, 2, 6, 7, 8)
    for settings in ({"groups": 1}, {"groups": 2}, {"groups": 3, "stride": 2, "padding": 1}, {"groups": 6}):
        count = settings["groups"]
        weight, numbers = normal(draw, 6, 6 // count, 3, 3), normal(draw, 6)
        expected = F.conv2d(images, weight, numbers, **settings)
        # Filters taken as cards are dealt, and channels so.
        dealt = torch.arange(6).reshape(-1, count).T.flatten()
        halves = "With groups=2 the first half of the filters sees the first half of the channels."
        compare(worker.call("my_grouped_conv2d", images, weight, numbers, **settings), expected, [
            (("The groups are mixed: the filters are dealt out in turn.", halves),
             F.conv2d(images, weight[dealt], numbers, **settings)),
            (("The groups are mixed: the filters are dealt out in turn.", halves),
             F.conv2d(images, weight[dealt], numbers[dealt], **settings)),
            (("The groups are mixed: the channels are dealt out in turn.", halves),
             F.conv2d(images[:, dealt], weight, numbers, **settings)),
            (("The bias is missing.", "All filters have their bias, whatever their group."), F.conv2d(images, weight, **settings)),
        ], f", for {settings}")  # fmt: skip


def _function(worker, name, images, weight, numbers, settings):
    # A call with the arguments of F.conv2d, and what usually goes wrong with it.
    stride, padding = pair(settings.get("stride", 1)), pair(settings.get("padding", 0))
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
        plain, along = give(numbers=None), numbers[:, None, None]
        mistakes += [
            (("All filters share the bias of filter 0.", BIAS_ONCE), plain + numbers[0]),
            (("The bias was added once for each cell of the kernel.", "It is added once, after the loops."),
             plain + weight[0, 0].numel() * along),
            (("Images and filters are mixed up.",
              "After a matrix product the filters come first: exchange the axes, and do not reshape over them."),
             plain.transpose(0, 1).reshape(plain.shape) + along),
        ]  # fmt: skip
    if weight.shape[0] == weight.shape[1]:
        exchanged = ("The first two axes of weight are exchanged.", "weight has the shape (out_channels, in_channels, …).")
        mistakes.append((exchanged, give(weight.transpose(0, 1))))
    answer = worker.call(name, images, weight, numbers, **settings)
    compare(answer, expected, mistakes, f", for {settings}" if settings else "")


def _convolve(image, weight, bias=None, stride=1):
    return F.conv2d(image[None], weight, bias, stride)[0]


def _first(expected, rows, columns):
    # A map of which only these are filled in.
    filled = torch.zeros_like(expected)
    filled[:rows, :columns] = expected[:rows, :columns]
    return filled


def _operations(worker, image, weight):
    before = sum(worker.operators.values())
    worker.call("my_conv2d", image, weight)
    return sum(worker.operators.values()) - before
