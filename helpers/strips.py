"""A convolution by strips: the way that :mod:`helpers.conv` computes, with its gradients (chapter 2, fourth version)."""

import math

import torch

from helpers.windows import convolve_windows

BLOCK = 2**20  # bytes of strips and products made at a time, to stay in cache


class Strips:
    """For each column of the kernel a strip: the pixels that it meets along the image's rows.

    What one row of the kernel meets is a single run of a strip, so one copy serves all of its rows. With a vertical
    stride s the image's rows are dealt to s piles, and the images of a block stand side by side, so that this holds.
    """

    def __init__(self, input, weight, stride, borders, dilation):
        left, right, top, bottom = borders
        channels, height, width = input.shape[1:]
        filters, _, kernel_height, kernel_width = weight.shape
        high, wide = top + height + bottom, left + width + right
        self.rows = (high - dilation[0] * (kernel_height - 1) - 1) // stride[0] + 1
        self.columns = (wide - dilation[1] * (kernel_width - 1) - 1) // stride[1] + 1
        pile_rows = math.ceil(high / stride[0])
        strip_rows = channels * kernel_width * stride[0] * pile_rows
        numbers = (strip_rows + filters * self.rows) * self.columns
        one_image = numbers * input.element_size()  # bytes
        fitting = BLOCK // one_image if input.device.type == "cpu" else len(input)
        count = math.ceil(len(input) / max(1, fitting)) or 1
        images = math.ceil(len(input) / count) or 1  # the last block may have fewer
        self.blocks = [slice(n, n + images) for n in range(0, len(input), images)]
        self.places = self.rows * images * self.columns
        shape = (channels, kernel_width, stride[0], pile_rows, images, self.columns)
        self.memory = input.new_zeros(shape)  # what stays zero is the padding
        self.parts = []  # a part: one pile of one strip, without the padding
        for column in range(kernel_width):
            offset = dilation[1] * column - left
            across = inside(offset, stride[1], self.columns, width)
            for pile in range(stride[0]):
                down = inside(pile - top, stride[0], pile_rows, height)
                self.parts.append((column, pile, *down, *across))
        downs = range(0, dilation[0] * kernel_height, dilation[0])
        self.starts = [divmod(down, stride[0]) for down in downs]

    def beside(self, images):
        """Pairs: a part of the strips, and the pixels of ``images`` that it stands for."""
        images = images.permute(1, 2, 0, 3)  # (channels, height, images, width)
        for column, pile, rows, from_rows, columns, from_columns in self.parts:
            strip = self.memory[:, column, pile, rows, : images.shape[2], columns]
            yield strip, images[:, from_rows, :, from_columns]

    def runs(self, groups):
        """The pixels that each row of the kernel meets: shape (groups, cells in the row, places)."""
        for start, pile in self.starts:
            run = self.memory[:, :, pile, start : start + self.rows]
            yield run.view(groups, -1, self.places)


def inside(offset, step, count, size):
    """Which of the positions offset + step · n, n < count, lie in range(size): slices of n and of positions."""
    first = min(count, max(0, -(offset // step)))
    last = max(first, min(count, (size - 1 - offset) // step + 1))
    start = max(0, offset + step * first)
    pixels = slice(start, start + step * (last - first), step)
    return slice(first, last), pixels


class StripProducts(torch.autograd.Function):
    """The convolution by strips, one block of images after the other, with its gradients."""

    @staticmethod
    def forward(ctx, input, weight, bias, *settings):
        ctx.save_for_backward(input, weight)
        ctx.settings = settings  # stride, borders, dilation, groups
        groups, strips = settings[-1], Strips(input, weight, *settings[:-1])
        matrices = kernel_rows(weight, groups)
        output = input.new_empty(len(input), len(weight), strips.rows, strips.columns)
        total = input.new_empty(groups, len(weight) // groups, strips.places)
        for block in strips.blocks:
            for strip, pixels in strips.beside(input[block]):
                strip.copy_(pixels)
            for k, (matrix, run) in enumerate(zip(matrices, strips.runs(groups))):
                total.baddbmm_(matrix, run, beta=min(k, 1))
            maps = total.view(len(weight), strips.rows, -1, strips.columns)
            output[block] = maps.permute(2, 0, 1, 3)[: len(output[block])]
            if bias is not None:
                output[block] += bias[:, None, None]
        return output

    @staticmethod
    def backward(ctx, grad_output):
        (input, weight), needed = ctx.saved_tensors, ctx.needs_input_grad
        grad_bias = grad_output.sum((0, 2, 3)) if needed[2] else None
        if torch.is_grad_enabled():  # somebody wants gradients of these
            output = convolve_windows(input, weight, None, *ctx.settings)
            grads = (
                torch.autograd.grad(output, each, grad_output, create_graph=True)[0]
                if wanted else None
                for each, wanted in zip((input, weight), needed)
            )  # fmt: skip
            return *grads, grad_bias, None, None, None, None
        groups, strips = ctx.settings[-1], Strips(input, weight, *ctx.settings[:-1])
        matrices = kernel_rows(weight, groups)
        grad_matrices = torch.zeros_like(matrices)
        grad_input = input.new_zeros(input.shape) if needed[0] else None
        grad = grad_output.new_zeros(groups, len(weight) // groups, strips.places)
        for block in strips.blocks:
            maps = grad.view(len(weight), strips.rows, -1, strips.columns)
            maps[:, :, : len(input[block])] = grad_output[block].permute(1, 2, 0, 3)
            if needed[1]:
                strips.memory.zero_()
                for strip, pixels in strips.beside(input[block]):
                    strip.copy_(pixels)
                for grad_matrix, run in zip(grad_matrices, strips.runs(groups)):
                    grad_matrix.baddbmm_(grad, run.mH)
            if needed[0]:  # the way back: from the runs to the strips to the pixels
                strips.memory.zero_()
                for matrix, run in zip(matrices, strips.runs(groups)):
                    run.baddbmm_(matrix.mH, grad)
                for strip, pixels in strips.beside(grad_input[block]):
                    pixels += strip
        columns = grad_matrices.unflatten(3, weight[0, :, 0].shape)
        grad_weight = columns.permute(1, 2, 3, 0, 4).reshape(weight.shape)
        return grad_input, grad_weight, grad_bias, None, None, None, None


def kernel_rows(weight, groups):
    """One matrix for each row of the kernel: shape (kernel height, groups, out_channels / groups, cells in the row)."""
    return weight.unflatten(0, (groups, -1)).permute(3, 0, 1, 2, 4).flatten(3)
