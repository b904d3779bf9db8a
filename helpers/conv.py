"""A two-dimensional convolution with torch's names, settings and errors, built from windows and one matrix product.

Chapter 2 arrives at this code step by step. Like torch (and every deep-learning library), it computes cross-correlation:
the kernel is not flipped.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

PADDING_MODES = {"zeros", "reflect", "replicate", "circular"}


def windows(input, kernel_size, stride=(1, 1), dilation=(1, 1)):
    """Every window that a kernel covers, as a view: nothing is copied.

    Parameters
    ----------
    input : torch.Tensor
        Shape (..., height, width), padded already.
    kernel_size, stride, dilation : (int, int)
        For rows and columns.

    Returns
    -------
    torch.Tensor
        Shape (..., output height, output width, kernel height, kernel width).
    """
    covered = [d * (k - 1) + 1 for k, d in zip(kernel_size, dilation)]
    view = input.unfold(-2, covered[0], stride[0]).unfold(-2, covered[1], stride[1])
    return view[..., :: dilation[0], :: dilation[1]]


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
    RuntimeError, ValueError
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
    stride, dilation = _pair(stride, "stride"), _pair(dilation, "dilation")
    _check(input, weight, bias, stride, dilation, groups)
    left, right, top, bottom = _borders(padding, weight.shape[2:], stride, dilation)
    if min(left, top) < 0:
        raise RuntimeError("negative padding is not supported")
    padded = F.pad(input, (left, right, top, bottom)) if left or right or top or bottom else input
    covered = [d * (k - 1) + 1 for k, d in zip(weight.shape[2:], dilation)]
    if padded.shape[2] < covered[0] or padded.shape[3] < covered[1]:
        raise RuntimeError(
            f"Calculated padded input size per channel: ({padded.shape[2]} x {padded.shape[3]}). "
            f"Kernel size: ({covered[0]} x {covered[1]}). Kernel size can't be greater than actual input size"
        )
    if 0 in input.shape[2:]:
        raise RuntimeError(f"Only zero batch or zero channel inputs are supported, but got input shape: {list(input.shape)}")

    view = windows(padded, weight.shape[2:], stride, dilation)  # (batch, in_channels, rows, columns, kernel height, width)
    batch, _, rows, columns = view.shape[:4]
    out_channels, cells = weight.shape[0], weight.shape[1:].numel()
    # One row for each cell of a window, one column for each window; one such matrix for each group of channels.
    patches = view.permute(1, 4, 5, 0, 2, 3).reshape(groups, cells, batch * rows * columns)
    output = weight.reshape(groups, out_channels // groups, cells) @ patches
    output = output.reshape(out_channels, batch, rows, columns).transpose(0, 1)
    return output if bias is None else output + bias[:, None, None].to(output.dtype)


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
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        if in_channels % groups:
            raise ValueError("in_channels must be divisible by groups")
        if out_channels % groups:
            raise ValueError("out_channels must be divisible by groups")
        if padding_mode not in PADDING_MODES:
            raise ValueError(f"padding_mode must be one of {PADDING_MODES}, but got padding_mode={padding_mode!r}")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = _pair(kernel_size, "kernel_size")
        self.stride, self.dilation = _pair(stride, "stride"), _pair(dilation, "dilation")
        self.padding = padding if isinstance(padding, str) else _pair(padding, "padding")
        self.padding_mode = padding_mode
        try:
            _borders(self.padding, self.kernel_size, self.stride, self.dilation)
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
            borders = _borders(padding, self.kernel_size, self.stride, self.dilation)
            input, padding = F.pad(input, borders, mode=self.padding_mode), 0
        return conv2d(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        usual = {"padding": (0, 0), "dilation": (1, 1), "groups": 1}
        text += "".join(f", {name}={getattr(self, name)}" for name in usual if getattr(self, name) != usual[name])
        text += ", bias=False" if self.bias is None else ""
        return text if self.padding_mode == "zeros" else text + f", padding_mode={self.padding_mode}"


def _pair(value, name):
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if len(values) not in (1, 2):
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of 2 values to match the convolution dimensions, "
            f"but got {name}={list(values)}"
        )
    if not all(isinstance(number, int) for number in values):
        raise TypeError(f"{name} must be an integer or a pair of integers, got {value!r}")
    return values * 2 if len(values) == 1 else values


def _borders(padding, kernel_size, stride, dilation):
    """Cells to add (left, right, top, bottom), the order of ``F.pad``."""
    if not isinstance(padding, str):
        top, left = _pair(padding, "padding")
        return left, left, top, top
    if padding == "valid":
        return 0, 0, 0, 0
    if padding != "same":
        raise RuntimeError(f"Invalid padding string {padding!r}, should be one of {{'valid', 'same'}}")
    if tuple(stride) != (1, 1):
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    height, width = (d * (k - 1) for k, d in zip(kernel_size, dilation))
    return width // 2, width - width // 2, height // 2, height - height // 2


def _check(input, weight, bias, stride, dilation, groups):
    out_channels, channels = weight.shape[:2]
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    if out_channels == 0 or out_channels % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0 and divisible by {groups}, "
            f"but got weight of size {list(weight.shape)} instead"
        )
    if input.shape[1] != channels * groups:
        raise RuntimeError(
            f"Given groups={groups}, weight of size {list(weight.shape)}, expected input{list(input.shape)} to have "
            f"{channels * groups} channels, but got {input.shape[1]} channels instead"
        )
    if bias is not None and (bias.shape != (out_channels,) or bias.dtype != weight.dtype):
        raise RuntimeError(
            f"Given weight of size {list(weight.shape)} and type {weight.dtype}, expected bias to be 1-dimensional with "
            f"{out_channels} elements of that type, but got bias of size {list(bias.shape)} and type {bias.dtype}"
        )
    if min(stride) <= 0:
        raise RuntimeError("non-positive stride is not supported")
    if min(dilation) <= 0:
        raise RuntimeError("non-positive dilation is not supported")
    if min(weight.shape[2:]) <= 0:
        raise RuntimeError(f"kernel size should be greater than zero, but got kernel size {tuple(weight.shape[2:])}")
