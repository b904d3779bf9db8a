"""Which cells of the input one unit of a deep layer can see, exactly and for any stack of layers (chapter 3)."""

from typing import NamedTuple

from torch import nn

from helpers.conv import Conv2D
from helpers.conv_settings import borders_of, pair

WINDOWED = (nn.Conv2d, Conv2D, nn.MaxPool2d, nn.AvgPool2d)
# These work on each place by itself, so they leave the field as it is. (Batch normalisation does so once trained.)
POINTWISE = (
    nn.Identity, nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid,
    nn.Dropout, nn.Dropout2d, nn.BatchNorm2d,
)  # fmt: skip


class Field(NamedTuple):
    """The receptive fields of all units of a map, along one side of the input, in cells.

    ``size`` is the width of one unit's field, ``step`` how far the fields of neighbouring units lie apart, and ``start``
    where the field of unit 0 begins: 0 is the first cell of the input, negative numbers lie in the padding.
    """

    size: int
    step: int
    start: int

    def cells(self, unit):
        """The range of cells, from the first to the last that the unit sees; cells outside the input are padding."""
        first = self.start + unit * self.step
        return range(first, first + self.size)


def receptive_field(layers):
    """Compute the receptive field of a stack of convolutions and pooling layers.

    Every layer looks at ``dilation * (kernel_size - 1) + 1`` neighbouring cells of the map before it. Those lie ``step``
    cells of the input apart, so the field grows by that many steps less one; then the stride multiplies the step.

    Parameters
    ----------
    layers : iterable of torch.nn.Module
        In the order in which they are applied, such as an ``nn.Sequential`` (others may be inside it). Known are
        ``Conv2d``, ``helpers.conv.Conv2D``, ``MaxPool2d``, ``AvgPool2d``, and layers that work on each place by itself:
        activation functions, dropout, batch normalisation.

    Returns
    -------
    rows, columns : Field
        The same for square settings. Without layers, a unit is a pixel: ``Field(size=1, step=1, start=0)``. With
        dilation, or a stride larger than the kernel, the field has gaps; its first and its last cell are always seen.

    Raises
    ------
    TypeError
        If there is a layer that is not known, such as ``Flatten`` or ``Linear``: behind them a unit sees everything.

    Notes
    -----
    Source: A. Araujo, W. Norris, J. Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill, 2019.
    """
    if isinstance(layers, (*WINDOWED, *POINTWISE)):
        layers = [layers]
    rows = columns = Field(size=1, step=1, start=0)
    for layer in _flat(layers):
        if isinstance(layer, POINTWISE):
            continue
        kernel_size, stride = pair(layer.kernel_size, "kernel_size"), pair(layer.stride, "stride")
        dilation = pair(getattr(layer, "dilation", 1), "dilation")
        left, _, top, _ = borders_of(layer.padding, kernel_size, stride, dilation)
        rows = _behind(rows, kernel_size[0], stride[0], top, dilation[0])
        columns = _behind(columns, kernel_size[1], stride[1], left, dilation[1])
    return rows, columns


def _behind(field, kernel_size, stride, padding, dilation):
    return Field(
        size=field.size + dilation * (kernel_size - 1) * field.step,
        step=field.step * stride,
        start=field.start - padding * field.step,
    )


def _flat(layers):
    for number, layer in enumerate(layers):
        if isinstance(layer, (nn.Sequential, list, tuple)):
            yield from _flat(layer)
        elif isinstance(layer, (*WINDOWED, *POINTWISE)):
            yield layer
        else:
            raise TypeError(
                f"layer {number}, {type(layer).__name__}, is none whose receptive field is known: "
                "pass only the convolutions, pooling layers and activation functions before it"
            )
