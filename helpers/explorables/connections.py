"""One layer, dense or convolutional: which inputs an output uses, with which weights, and what it all costs (chapter 2)."""

import torch
import traitlets
from torch import nn

from helpers import plotting
from helpers.conv import conv2d
from helpers.explorables.explorable import Explorable, Whole
from helpers.sizes import output_size, parameter_count

LAYERS = ("dense", "sparse", "convolution")


class Connections(Explorable):
    """Inputs, outputs and the weights between them, each with a number: the same number is the same weight.

    Attributes
    ----------
    layer : {"dense", "sparse", "convolution"}
        ``sparse`` is connected like the convolution, with a weight of its own for each connection.
    dimensions : {1, 2}
        Inputs in a row, or in a square.
    input_size, kernel_size, stride : int
        Along each side: at most 7 inputs, and a kernel of at most 5 that fits.
    side : {"output", "input"}
        Of which side a unit is chosen.
    unit : int
        Which one, counted from 0, row by row.

    Raises
    ------
    traitlets.TraitError
        If a value is none of these; the figure stays as it was.
    """

    layer = traitlets.Enum(LAYERS, default_value="convolution").tag(sync=True)
    dimensions = Whole(1, min=1, max=2).tag(sync=True)
    input_size = Whole(7, min=3, max=7).tag(sync=True)
    kernel_size = Whole(3, min=1, max=5).tag(sync=True)
    stride = Whole(1, min=1, max=3).tag(sync=True)
    side = traitlets.Enum(["output", "input"], default_value="output").tag(sync=True)
    unit = Whole(2, min=0).tag(sync=True)
    caption = traitlets.Unicode(
        "Choose an output to see the inputs that it uses, or an input to see the outputs that use it. "
        "The numbers in the cells say which weight is used: equal numbers, or lines of the same kind, are the same weight."
    ).tag(sync=True)

    @traitlets.validate("input_size", "kernel_size")
    def _kernel_fits(self, proposal):
        sizes = {"input_size": self.input_size, "kernel_size": self.kernel_size, proposal.trait.name: proposal.value}
        if sizes["kernel_size"] > sizes["input_size"]:
            raise traitlets.TraitError("a kernel of {kernel_size} does not fit into {input_size} inputs".format(**sizes))
        return proposal.value

    @traitlets.validate("unit")
    def _exists(self, proposal):
        count = self._count(self.side)
        if proposal.value >= count:
            raise traitlets.TraitError(f"there are {self.side}s 0 to {count - 1}, got unit {proposal.value}")
        return proposal.value

    @traitlets.observe("dimensions", "input_size", "kernel_size", "stride", "side")
    def _stay_on_the_side(self, change):
        self.unit = min(self.unit, self._count(self.side) - 1)

    def _length(self, side):
        return self.input_size if side == "input" else output_size(self.input_size, self.kernel_size, self.stride)

    def _count(self, side):
        return self._length(side) ** self.dimensions

    def _weights(self, layer):
        """The number of each connection's weight, from 1, and 0 where nothing is connected: shape (outputs, inputs)."""
        inputs, outputs = self._count("input"), self._count("output")
        if layer == "dense":
            return torch.arange(1, inputs * outputs + 1).reshape(outputs, inputs)
        # Column by column, the matrix of a convolution is what it makes of a single 1 (chapter 2).
        rows = (self.dimensions - 1) * (self.input_size - 1) + 1
        kernel_rows = (self.dimensions - 1) * (self.kernel_size - 1) + 1
        single = torch.eye(inputs).reshape(inputs, 1, rows, self.input_size)
        kernel = torch.arange(1.0, kernel_rows * self.kernel_size + 1).reshape(1, 1, kernel_rows, self.kernel_size)
        matrix = conv2d(single, kernel, stride=self.stride).reshape(inputs, outputs).T.long()
        own = kernel.numel() * torch.arange(outputs)[:, None] if layer == "sparse" else 0
        return torch.where(matrix > 0, matrix + own, 0)

    def _of_unit(self, layer, unit):
        """The numbers of the weights of one unit, laid out as the other side is; None where nothing is connected."""
        weights, other = self._weights(layer), "output" if self.side == "input" else "input"
        used = weights[unit] if self.side == "output" else weights[:, unit]
        return [[number or None for number in line] for line in used.reshape(-1, self._length(other)).tolist()]

    def numbers(self):
        """``weights`` of the unit, if it uses any; ``used``: how many, ``of`` how many; ``connections`` and ``parameters``.

        The last two are those of dense, sparse, and convolution, and then the same for the lecture's layer.
        """
        weights = self._of_unit(self.layer, self.unit)
        convolution = nn.Conv1d if self.dimensions == 1 else nn.Conv2d
        small = self._bill(convolution, 1, 1, self.input_size, self.kernel_size, self.stride)
        lecture = self._bill(nn.Conv2d, 3, 6, 32, 5, 1)
        used = sum(number is not None for line in weights for number in line)
        return {
            **({"weights": weights} if used else {}),
            "used": used,
            "of": sum(len(line) for line in weights),
            "connections": small[0] + lecture[0],
            "parameters": small[1] + lecture[1],
        }

    @staticmethod
    def _bill(convolution, channels, filters, input_size, kernel_size, stride):
        layer = convolution(channels, filters, kernel_size, stride=stride)
        dimensions = layer.weight.ndim - 2
        inputs = channels * input_size**dimensions
        outputs = filters * output_size(input_size, kernel_size, stride) ** dimensions
        joined = outputs * layer.weight[0].numel()
        dense = parameter_count(nn.Linear(inputs, outputs, device="meta"))  # only the shape: the lecture's would be large
        return [inputs * outputs, joined, joined], [dense, joined + outputs, parameter_count(layer)]

    @property
    def alt(self):
        numbers, place = self.numbers(), LAYERS.index(self.layer)
        verb = "uses" if self.side == "output" else "is used by"
        other = "inputs" if self.side == "output" else "outputs"
        return (
            f"A layer from {self._count('input')} inputs to {self._count('output')} outputs, {self.layer}: "
            f"{numbers['connections'][place]} connections and {numbers['parameters'][place]} parameters. "
            f"{self.side.capitalize()} {self.unit} {verb} {numbers['used']} of {numbers['of']} {other}."
        )

    def fallback(self):
        # Two neighbours, so that it shows which weights they share.
        first = min(self.unit, max(0, self._count(self.side) - 2))
        units = [unit for unit in (first, first + 1) if unit < self._count(self.side)]
        grids = "".join(
            '<div class="panels" style="width:100%">'
            + "".join(plotting.number_grid(self._of_unit(layer, unit), title=f"{layer}, {self.side} {unit}") for unit in units)
            + "</div>"
            for layer in LAYERS
        )
        numbers = self.numbers()
        bill = zip(LAYERS, numbers["connections"], numbers["parameters"])
        below = "; ".join("{}: {} connections, {} parameters".format(*line) for line in bill)
        return plotting.row(grids, alt=self.alt, below=below)
