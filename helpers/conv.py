"""A two-dimensional convolution with torch's names, settings and errors, near the speed of torch's own (chapter 2).

Like torch, and every deep-learning library, it computes cross-correlation: the kernel is not flipped.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from helpers.conv_settings import borders_of, check_call, check_layer, pair

BLOCK = 3 * 2**19  # bytes of strips and products made at a time: they should stay in the processor's cache


def windows(input, kernel_size, stride=(1, 1), dilation=(1, 1)):
    """Every window that a kernel covers, as a view: nothing is copied.

    ``input`` has shape (..., height, width) and is padded already; the others are pairs, for rows and columns. The
    result has shape (..., output height, output width, kernel height, kernel width).
    """
    covered = [d * (k - 1) + 1 for k, d in zip(kernel_size, dilation)]
    view = input.unfold(-2, covered[0], stride[0]).unfold(-2, covered[1], stride[1])
    return view[..., :: dilation[0], :: dilation[1]]


def convolve_windows(input, weight, bias, stride, borders, dilation, groups):
    """Chapter 2's third version: one matrix product of all windows. Each step in it knows its own gradient."""
    view = windows(F.pad(input, borders), weight.shape[2:], stride, dilation)
    batch, _, rows, columns = view.shape[:4]
    cells = weight.shape[1:].numel()
    patches = view.permute(1, 4, 5, 0, 2, 3).reshape(groups, cells, batch * rows * columns)
    output = weight.reshape(groups, len(weight) // groups, cells) @ patches
    output = output.reshape(len(weight), batch, rows, columns).transpose(0, 1)
    return output if bias is None else output + bias[:, None, None]


class Strips:
    """Chapter 2's fourth version: for each column of the kernel a strip, the pixels that it meets along the image's rows.

    In a strip, the pixels that one row of the kernel meets are a single run of memory, so one copy serves all rows. With
    a vertical stride s the image's rows are dealt to s piles, and the rows of a block's images stand side by side, so
    that this stays true.
    """

    def __init__(self, input, weight, stride, borders, dilation):
        left, right, top, bottom = borders
        (height, width), (kernel_height, kernel_width) = input.shape[2:], weight.shape[2:]
        self.rows = (top + height + bottom - dilation[0] * (kernel_height - 1) - 1) // stride[0] + 1
        self.columns = (left + width + right - dilation[1] * (kernel_width - 1) - 1) // stride[1] + 1
        pile = math.ceil((top + height + bottom) / stride[0])
        one_image = (input.shape[1] * kernel_width * stride[0] * pile + len(weight) * self.rows) * self.columns
        fitting = BLOCK // (one_image * input.element_size()) if input.device.type == "cpu" else len(input)
        images = max(1, min(len(input), fitting))
        self.blocks = [slice(n, n + images) for n in range(0, len(input), images)]
        # What stays zero is the padding.
        self.memory = input.new_zeros(input.shape[1], kernel_width, stride[0], pile, images, self.columns)
        self.parts = [
            (column, remainder, *inside(remainder - top, stride[0], pile, height), *inside(offset, stride[1], self.columns, width))
            for column, offset in enumerate(range(-left, dilation[1] * kernel_width - left, dilation[1]))
            for remainder in range(stride[0])
        ]
        self.starts = [divmod(row * dilation[0], stride[0]) for row in range(kernel_height)]

    def beside(self, images):
        """Pairs: a part of the strips, and the pixels of ``images`` that it stands for."""
        images = images.permute(1, 2, 0, 3)
        for column, remainder, rows, from_rows, columns, from_columns in self.parts:
            yield self.memory[:, column, remainder, rows, : images.shape[2], columns], images[:, from_rows, :, from_columns]

    def runs(self, groups):
        """The pixels that each row of the kernel meets: views of shape (groups, cells in the row, places)."""
        for start, remainder in self.starts:
            run = self.memory[:, :, remainder, start : start + self.rows]
            yield run.view(groups, -1, run[0, 0].numel())


def inside(offset, step, count, size):
    """Which of the positions offset + step · n, n < count, lie in range(size): a slice of n, and one of the positions."""
    first = min(count, max(0, -(offset // step)))
    last = max(first, min(count, (size - 1 - offset) // step + 1))
    start = max(0, offset + step * first)
    return slice(first, last), slice(start, start + step * (last - first), step)


class StripProducts(torch.autograd.Function):
    """The convolution by strips, one block of images after the other, with its gradients."""

    @staticmethod
    def forward(ctx, input, weight, bias, *settings):
        ctx.save_for_backward(input, weight)
        ctx.settings = settings  # stride, borders, dilation, groups
        groups, strips = settings[-1], Strips(input, weight, *settings[:-1])
        output = input.new_empty(len(input), len(weight), strips.rows, strips.columns)
        # One row of the kernel after the other: the product of its weights and its run is added up here.
        total = input.new_empty(groups, len(weight) // groups, strips.memory[0, 0, 0, 0].numel() * strips.rows)
        for block in strips.blocks:
            images = input[block]
            for strip, pixels in strips.beside(images):
                strip.copy_(pixels)
            for number, (matrix, run) in enumerate(zip(kernel_rows(weight, groups), strips.runs(groups))):
                total.baddbmm_(matrix, run, beta=min(number, 1))
            places = total.view(len(weight), strips.rows, -1, strips.columns).permute(2, 0, 1, 3)
            output[block] = places[: len(images)]
            if bias is not None:
                output[block] += bias[:, None, None]
        return output

    @staticmethod
    def backward(ctx, grad_output):
        (input, weight), groups, needed = ctx.saved_tensors, ctx.settings[-1], ctx.needs_input_grad
        grad_bias = grad_output.sum((0, 2, 3)) if needed[2] else None
        if torch.is_grad_enabled():  # somebody wants gradients of these gradients, so plain operations have to make them
            output = convolve_windows(input, weight, None, *ctx.settings)
            learned = [tensor for tensor, is_needed in zip((input, weight), needed) if is_needed]
            grads = iter(torch.autograd.grad(output, learned, grad_output, create_graph=True) if learned else ())
            return *(next(grads) if is_needed else None for is_needed in needed[:2]), grad_bias, None, None, None, None
        strips = Strips(input, weight, *ctx.settings[:-1])
        grad_input = torch.zeros_like(input, memory_format=torch.contiguous_format) if needed[0] else None
        matrices = kernel_rows(weight, groups)
        grad_matrices = torch.zeros_like(matrices)
        grad = grad_output.new_zeros(groups, len(weight) // groups, strips.memory[0, 0, 0, 0].numel() * strips.rows)
        for block in strips.blocks:
            images = input[block]
            grad.view(len(weight), strips.rows, -1, strips.columns)[:, :, : len(images)] = grad_output[block].permute(1, 2, 0, 3)
            if needed[1]:
                strips.memory.zero_()
                for strip, pixels in strips.beside(images):
                    strip.copy_(pixels)
                for grad_matrix, run in zip(grad_matrices, strips.runs(groups)):
                    grad_matrix.baddbmm_(grad, run.mH)
            if needed[0]:  # the way back, in the same memory: from the runs to the strips to the pixels
                strips.memory.zero_()
                for matrix, run in zip(matrices, strips.runs(groups)):
                    run.baddbmm_(matrix.mH, grad)
                for strip, pixels in strips.beside(grad_input[block]):
                    pixels += strip
        columns = grad_matrices.unflatten(3, (weight.shape[1], weight.shape[3]))
        grad_weight = columns.permute(1, 2, 3, 0, 4).reshape(weight.shape)
        return grad_input, grad_weight, grad_bias, None, None, None, None


def kernel_rows(weight, groups):
    """One matrix for each row of the kernel: shape (kernel height, groups, out_channels / groups, cells in the row)."""
    rows = weight.unflatten(0, (groups, -1)).permute(3, 0, 1, 2, 4)
    return rows.flatten(3)


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Convolve images with kernels, as ``torch.nn.functional.conv2d`` does.

    Parameters
    ----------
    input : torch.Tensor
        Shape (batch, in_channels, height, width), or (in_channels, height, width) for one image.
    weight : torch.Tensor
        Shape (out_channels, in_channels / groups, kernel height, kernel width).
    bias : torch.Tensor, optional
        Shape (out_channels,).
    stride, dilation : int or (int, int)
    padding : int, (int, int), "valid" or "same"
        Rows and columns of zeros added on each side.
    groups : int
        Channels are split into so many groups, each with its own kernels.

    Returns
    -------
    torch.Tensor
        Shape (batch, out_channels, output height, output width), or without batch if the input has none.

    Raises
    ------
    TypeError, RuntimeError
        Where torch's function does, with a message that names the same fault.
    """
    if not isinstance(input, torch.Tensor):
        raise TypeError(f"conv2d() needs a torch.Tensor as input, got {type(input).__name__}")
    if input.ndim not in (3, 4):
        raise RuntimeError(
            f"Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: {list(input.shape)}"
        )
    if input.ndim == 3:
        return conv2d(input.unsqueeze(0), weight, bias, stride, padding, dilation, groups).squeeze(0)
    if torch.is_autocast_enabled(input.device.type):
        dtype = torch.get_autocast_dtype(input.device.type)
        input, weight, bias = (tensor if tensor is None else tensor.to(dtype) for tensor in (input, weight, bias))
    stride, dilation = pair(stride, "stride"), pair(dilation, "dilation")
    borders = borders_of(padding, weight.shape[2:], stride, dilation)
    check_call(input, weight, bias, stride, borders, dilation, groups)
    # torch.compile and torch.func look into plain operations only.
    plain = torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()
    convolve = convolve_windows if plain else StripProducts.apply
    return convolve(input, weight, bias, stride, borders, dilation, groups)


class Conv2D(nn.Module):
    """A convolutional layer that can stand wherever ``torch.nn.Conv2d`` does, and exchange ``state_dict`` with it.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, dilation : int or (int, int)
    padding : int, (int, int), "valid" or "same"
        Cells added on each side. "same" keeps height and width (stride 1 only); "valid" adds none.
    groups : int
        Channels are split into so many groups, each with its own kernels.
    bias : bool
    padding_mode : {"zeros", "reflect", "replicate", "circular"}
        What the added cells hold.
    device, dtype
        As everywhere in torch.

    Raises
    ------
    ValueError
        If a setting is refused by ``torch.nn.Conv2d``; the message is torch's.

    Notes
    -----
    ``weight`` has shape (out_channels, in_channels / groups, kernel height, kernel width), ``bias`` (out_channels,).
    Both start uniform in ±1/√(cells of a window), drawn in torch's order: the same seed gives the same numbers.
    """

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1,
        bias=True, padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        check_layer(in_channels, out_channels, groups, padding_mode)
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = pair(kernel_size, "kernel_size")
        self.stride, self.dilation = pair(stride, "stride"), pair(dilation, "dilation")
        self.padding = padding if isinstance(padding, str) else pair(padding, "padding")
        self.padding_mode = padding_mode
        try:
            borders_of(self.padding, self.kernel_size, self.stride, self.dilation)
        except RuntimeError as error:
            raise ValueError(str(error)) from None
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(out_channels, device=device, dtype=dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self):
        """Draw new random weights, as torch does."""
        cells = self.weight.shape[1:].numel()
        bound = 1 / math.sqrt(cells) if cells else 0
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, input):
        """Convolve ``input``, of shape (batch, in_channels, height, width) or (in_channels, height, width)."""
        padding = self.padding
        if self.padding_mode != "zeros":
            borders = borders_of(padding, self.kernel_size, self.stride, self.dilation)
            input, padding = F.pad(input, borders, mode=self.padding_mode), 0
        return conv2d(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        usual = {"padding": (0, 0), "dilation": (1, 1), "groups": 1}
        text += "".join(f", {name}={getattr(self, name)}" for name in usual if getattr(self, name) != usual[name])
        text += ", bias=False" if self.bias is None else ""
        return text if self.padding_mode == "zeros" else text + f", padding_mode={self.padding_mode}"
