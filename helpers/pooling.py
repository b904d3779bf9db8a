"""Max and average pooling with torch's names, settings and errors (chapter 4): one number for each window of each map."""

import torch
import torch.nn.functional as F

from helpers.conv_settings import pair
from helpers.windows import windows


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """Keep the largest number of each window, as ``torch.nn.functional.max_pool2d`` does.

    Of equal numbers the first in the window, row by row, counts as the largest, and gets the whole gradient. A NaN is
    larger than any number, and of several the last one counts.

    Parameters
    ----------
    input : torch.Tensor
        Shape (batch, channels, height, width), or (channels, height, width) for one image.
    kernel_size, padding, dilation : int or (int, int)
        Padding is at most half of the kernel size. It never wins, whatever the numbers are.
    stride : int or (int, int), optional
        Without it, ``kernel_size``: windows side by side.
    ceil_mode : bool
        At the end of a row or column, keep a window that only begins inside.
    return_indices : bool
        Return also which cell of its map each number came from, counted row by row.

    Returns
    -------
    torch.Tensor, or (torch.Tensor, torch.Tensor)
        Shape (batch, channels, output height, output width), without batch if the input has none.

    Raises
    ------
    TypeError, RuntimeError, NotImplementedError
        Where torch's function does, with a message that names the same fault.
    """
    kernel_size, stride, dilation, borders = fitted(input, kernel_size, stride, padding, dilation, ceil_mode)
    height, width = input.shape[-2:]
    numbered = torch.arange(height * width, device=input.device).reshape(height, width)
    cells = windows(F.pad(input, borders), kernel_size, stride, dilation)
    numbered = F.pad(numbered, borders, value=-1)  # -1 marks padding
    numbers = windows(numbered, kernel_size, stride, dilation)
    lowest = -torch.inf if input.is_floating_point() else torch.iinfo(input.dtype).min
    output = torch.full_like(cells[..., 0, 0], lowest)
    indices = torch.full_like(numbers[..., 0, 0], -1)
    for row in range(kernel_size[0]):
        for column in range(kernel_size[1]):
            cell, number = cells[..., row, column], numbers[..., row, column]
            wins = (number >= 0) & ((indices < 0) | (cell > output) | cell.isnan())
            output = torch.where(wins, cell, output)
            indices = torch.where(wins, number, indices)
    return (output, indices) if return_indices else output


def avg_pool2d(
    input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """Replace each window by its mean, as ``torch.nn.functional.avg_pool2d`` does.

    Parameters
    ----------
    input, kernel_size, stride, padding, ceil_mode
        As for :func:`max_pool2d`; padding is zeros.
    count_include_pad : bool
        Divide by all the window's cells; otherwise only by those that are not padding. Cells that ``ceil_mode`` adds
        beyond the padding never count.
    divisor_override : int, optional
        Divide every sum by this instead.

    Returns
    -------
    torch.Tensor
        Shape (batch, channels, output height, output width), without batch if the input has none.

    Raises
    ------
    TypeError, RuntimeError, NotImplementedError
        Where torch's function does, with a message that names the same fault.
    """
    kernel_size, stride, dilation, borders = fitted(input, kernel_size, stride, padding, 1, ceil_mode)
    if input.dtype not in (torch.int64, torch.float64, torch.float32, torch.float16, torch.bfloat16):
        raise NotImplementedError(f"avg_pool2d is not implemented for {input.dtype}: convert the input, as in input.float()")
    if divisor_override is not None and (not isinstance(divisor_override, int) or isinstance(divisor_override, bool)):
        raise TypeError(f"divisor_override must be an integer, got {divisor_override!r}")
    if divisor_override == 0:
        raise RuntimeError("divisor_override must not be zero")
    total = windows(F.pad(input, borders), kernel_size, stride).sum((-2, -1))
    if divisor_override is None:
        left, right, top, bottom = borders
        counted = F.pad(total.new_ones(input.shape[-2:]), (left, left, top, top), value=float(count_include_pad))
        counted = F.pad(counted, (0, right - left, 0, bottom - top))
        divisor = windows(counted, kernel_size, stride).sum((-2, -1))
    else:
        divisor = divisor_override
    return torch.div(total, divisor, rounding_mode=None if input.is_floating_point() else "trunc")


def fitted(input, kernel_size, stride, padding, dilation, ceil_mode):
    """Check the settings, and return kernel size, stride, dilation and the borders with which the windows fit exactly.

    The borders are (left, right, top, bottom), as ``F.pad`` takes them. At the right and at the bottom they add what
    ``ceil_mode`` lacks, or cut off (negative) what no window covers.
    """
    if not isinstance(input, torch.Tensor):
        raise TypeError(f"pooling needs a torch.Tensor as input, got {type(input).__name__}")
    stride = kernel_size if stride in (None, (), []) else stride
    values = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation}
    for name, value in values.items():
        if isinstance(value, bool):
            raise TypeError(f"{name} must be an integer or a pair of integers, got {value!r}")
        values[name] = pair(value, name)
        smallest = 0 if name == "padding" else 1
        if min(values[name]) < smallest:
            raise RuntimeError(f"{name} should be at least {smallest}, but got {name}={value}")
    if not isinstance(ceil_mode, bool):
        raise TypeError(f"ceil_mode must be True or False, got {ceil_mode!r}")
    if input.ndim not in (3, 4) or 0 in input.shape[-3:]:
        raise RuntimeError(
            "Expected 3D (unbatched) or 4D (batched) input, in which only the batch may be empty, "
            f"but got input of size: {list(input.shape)}"
        )
    if input.dtype == torch.bool or input.is_complex():
        raise NotImplementedError(f"pooling is not implemented for {input.dtype}: it needs numbers that have an order")
    borders = []
    for size, kernel, step, before, spread in zip(input.shape[-2:], *values.values()):
        covered = spread * (kernel - 1) + 1
        if before > kernel // 2:
            raise RuntimeError(f"padding should be at most half of kernel_size={kernel}, but got padding={before}")
        steps = (size + 2 * before - covered + (step - 1) * ceil_mode) // step
        if ceil_mode and steps * step >= size + before:  # it would begin in the padding on the right
            steps -= 1
        if steps < 0:
            raise RuntimeError(
                f"Given input size {list(input.shape)}, no window fits: it covers {covered} cells, and there are "
                f"{size + 2 * before} with padding. Output size is too small"
            )
        borders = [before, steps * step + covered - size - before, *borders]
    return values["kernel_size"], values["stride"], values["dilation"], borders
