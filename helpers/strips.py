"""A convolution by strips: the way that :mod:`helpers.conv` computes, with its gradients (chapter 2, fourth version)."""

import math

import torch

from helpers.windows import convolve_windows

BLOCK = 2**20  # bytes of strips and products made at a time: they should stay in the processor's cache


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
        count = math.ceil(len(input) / max(1, fitting)) or 1
        images = math.ceil(len(input) / count) or 1  # the same in each block: a smaller last one would waste products
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
