"""A two-dimensional convolution with torch's names, settings and errors; like torch's, a cross-correlation (chapter 2)."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from helpers.conv_settings import autocast, borders_of, check_call, check_input, check_layer, pair
from helpers.strips import StripProducts
from helpers.windows import convolve_windows


def conv2d(
    input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1
):  # fmt: skip
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
    check_input(input)
    if input.ndim == 3:  # one image, without a batch
        settings = stride, padding, dilation, groups
        return conv2d(input.unsqueeze(0), weight, bias, *settings).squeeze(0)
    if torch.is_autocast_enabled(input.device.type):
        input, weight = autocast(input), autocast(weight)
        bias = autocast(bias)
    stride, dilation = pair(stride, "stride"), pair(dilation, "dilation")
    borders = borders_of(padding, weight.shape[2:], stride, dilation)
    check_call(input, weight, bias, stride, borders, dilation, groups)
    transformed = torch._C._are_functorch_transforms_active()
    plain = transformed or torch.compiler.is_compiling()
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
        self, in_channels, out_channels, kernel_size,
        stride=1, padding=0, dilation=1, groups=1, bias=True,
        padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        check_layer(in_channels, out_channels, groups, padding_mode)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.groups, self.padding_mode = groups, padding_mode
        self.kernel_size = pair(kernel_size, "kernel_size")
        self.stride = pair(stride, "stride")
        self.dilation = pair(dilation, "dilation")
        named = isinstance(padding, str)  # "same" or "valid"
        self.padding = padding if named else pair(padding, "padding")
        try:  # is the padding possible?
            borders_of(self.padding, self.kernel_size, self.stride, self.dilation)
        except RuntimeError as error:
            raise ValueError(str(error)) from None
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        kind = {"device": device, "dtype": dtype}
        self.weight = nn.Parameter(torch.empty(shape, **kind))
        self.bias = nn.Parameter(torch.empty(out_channels, **kind)) if bias else None
        self.reset_parameters()

    def reset_parameters(self):
        """Draw new random weights, as torch does."""
        cells = self.weight.shape[1:].numel()
        bound = 1 / math.sqrt(cells) if cells else 0
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, input):
        """Convolve ``input``, of shape (batch, in_channels, height, width) or (in_channels, height, width)."""
        stride, padding, dilation = self.stride, self.padding, self.dilation
        if self.padding_mode != "zeros":
            borders = borders_of(padding, self.kernel_size, stride, dilation)
            input, padding = F.pad(input, borders, mode=self.padding_mode), 0
        settings = stride, padding, dilation, self.groups
        return conv2d(input, self.weight, self.bias, *settings)

    def extra_repr(self):
        usual = {"padding": (0, 0), "dilation": (1, 1), "groups": 1, "bias": True}
        usual["padding_mode"] = "zeros"
        now = {**vars(self), "bias": self.bias is not None}
        names = [name for name in usual if now[name] != usual[name]]
        names = ["kernel_size", "stride", *names]
        settings = [f"{name}={now[name]}" for name in names]
        return ", ".join([f"{self.in_channels}, {self.out_channels}", *settings])
