"""Every window of an image as a view, and the convolution as one matrix product of them (chapter 2)."""

import torch.nn.functional as F


def windows(input, kernel_size, stride=(1, 1), dilation=(1, 1)):
    """Every window that a kernel covers, as a view: nothing is copied.

    ``input`` has shape (..., height, width) and is padded already; the others are pairs, for rows and columns. The
    result has shape (..., output height, output width, kernel height, kernel width).
    """
    covered = [d * (k - 1) + 1 for k, d in zip(kernel_size, dilation)]
    view = input.unfold(-2, covered[0], stride[0])
    view = view.unfold(-2, covered[1], stride[1])
    return view[..., :: dilation[0], :: dilation[1]]


def convolve_windows(input, weight, bias, stride, borders, dilation, groups):
    """Chapter 2's third version: one matrix product of all windows. Each step in it knows its own gradient."""
    view = windows(F.pad(input, borders), weight.shape[2:], stride, dilation)
    batch, _, rows, columns = view.shape[:4]
    cells, places = weight.shape[1:].numel(), batch * rows * columns
    patches = view.permute(1, 4, 5, 0, 2, 3).reshape(groups, cells, places)
    output = weight.reshape(groups, len(weight) // groups, cells) @ patches
    output = output.reshape(len(weight), batch, rows, columns).transpose(0, 1)
    return output if bias is None else output + bias[:, None, None]
