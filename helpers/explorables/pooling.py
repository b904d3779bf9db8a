"""Windows over a map, one number for each, and what a shift of the map changes in them (chapter 4)."""

import math

import torch
import traitlets

from helpers import plotting
from helpers.equivariance import shifted
from helpers.explorables.explorable import Explorable, Matrix, Whole
from helpers.pooling import avg_pool2d, max_pool2d
from helpers.sizes import output_size

SMALL = [[1, 3, 2, 1], [4, 2, 0, 1], [0, 2, 5, 6], [2, 0, 7, 2]]  # the map that chapter 4 pools by hand


class Pooling(Explorable):
    """A map, shifted or not, and the maximum or the average of each of its windows.

    Attributes
    ----------
    input : list of lists of numbers
        Rows of the map, at most 28×28. Tensors and arrays may be assigned.
    mode : {"max", "average"}
    kernel_size, stride : int
        From 1 to 5; the window must fit into the map. Unlike torch's layers, the figure keeps the stride when the kernel
        size changes.
    right : int
        Cells by which the map is shifted, from −4 to 4; what leaves is lost, and zeros come in.
    position : (int, int)
        Row and column of the result whose window is written out, from (0, 0).

    Raises
    ------
    traitlets.TraitError
        If a value is none of these; the figure stays as it was.
    """

    needs = ("digits",)
    input = Matrix(SMALL, largest=28).tag(sync=True)
    mode = traitlets.Enum(["max", "average"], default_value="max").tag(sync=True)
    kernel_size = Whole(2, min=1, max=5).tag(sync=True)
    stride = Whole(2, min=1, max=5).tag(sync=True)
    right = Whole(0, min=-4, max=4).tag(sync=True)
    position = traitlets.Tuple(Whole(), Whole(), default_value=(0, 0)).tag(sync=True)
    caption = traitlets.Unicode(
        "Choose a number of the result to see the window that it comes from. "
        "Then shift the map by one cell, and see which of the results notice."
    ).tag(sync=True)

    @traitlets.validate("input", "kernel_size")
    def _window_fits(self, proposal):
        now = {"input": self.input, "kernel_size": self.kernel_size, proposal.trait.name: proposal.value}
        rows, columns, size = len(now["input"]), len(now["input"][0]), now["kernel_size"]
        if size > min(rows, columns):
            raise traitlets.TraitError(f"a window of {size}×{size} does not fit into a map of {rows}×{columns}")
        return proposal.value

    @traitlets.validate("position")
    def _in_the_result(self, proposal):
        rows, columns = self._size()
        row, column = proposal.value
        if not (0 <= row < rows and 0 <= column < columns):
            raise traitlets.TraitError(
                f"the result has rows 0 to {rows - 1} and columns 0 to {columns - 1}, got position {proposal.value}"
            )
        return proposal.value

    @traitlets.observe("input", "kernel_size", "stride")
    def _stay_in_the_result(self, change):
        self.position = tuple(min(place, size - 1) for place, size in zip(self.position, self._size()))

    def _size(self):
        return [output_size(side, self.kernel_size, stride=self.stride) for side in (len(self.input), len(self.input[0]))]

    def _computed(self):
        """The map and its result, before the shift and after it: float64 tensors of shape (2, rows, columns)."""
        still = torch.tensor(self.input, dtype=torch.float64)
        maps = torch.stack([still, shifted(still, right=self.right)])
        pool = {"max": max_pool2d, "average": avg_pool2d}[self.mode]
        return maps, pool(maps, self.kernel_size, self.stride)

    def numbers(self):
        """``window``, ``result``, ``output`` and ``output_size``; with a shift also what it changes.

        Then ``before`` is the result at ``position`` without the shift, ``change`` is the output's difference to the one
        without it, ``output_changed`` counts its cells, and ``output_change`` is its length as a share of the length of
        the output without the shift, where that is not 0; ``input_changed`` and ``input_change`` are the same of the map.
        """
        maps, outputs = self._computed()
        row, column = self.position
        corner = maps[1, row * self.stride :, column * self.stride :]
        numbers = {
            "window": corner[: self.kernel_size, : self.kernel_size].tolist(),
            "result": outputs[1, row, column].item(),
            "output": outputs[1].tolist(),
            "output_size": self._size(),
        }
        if self.right:
            numbers |= {"before": outputs[0, row, column].item(), "change": (outputs[1] - outputs[0]).tolist()}
            for name, (before, after) in (("input", maps), ("output", outputs)):
                difference = after - before
                numbers[f"{name}_changed"] = int((difference.abs() > 1e-9).sum())
                if before.any():
                    numbers[f"{name}_change"] = (difference.norm() / before.norm()).item()
        return numbers

    @property
    def alt(self):
        numbers, (row, column) = self.numbers(), self.position
        moved = f", shifted by {_text(self.right)} to the right," if self.right else ""
        noticed = f" The shift changes {numbers['output_changed']} of {math.prod(self._size())} results." if self.right else ""
        return (
            f"{self.mode.capitalize()} pooling of a {len(self.input)} by {len(self.input[0])} map{moved} with windows of "
            f"{self.kernel_size} by {self.kernel_size} and a stride of {self.stride}. "
            f"The window of row {row}, column {column} gives {_text(numbers['result'])}.{noticed}"
        )

    def fallback(self):
        (_, moved), (before, output) = self._computed()
        numbers, (row, column) = self.numbers(), self.position
        window = {
            (row * self.stride + i, column * self.stride + j) for i in range(self.kernel_size) for j in range(self.kernel_size)
        }
        cells = [_text(value) for line in numbers["window"] for value in line]
        rule = f"max({', '.join(cells)})" if self.mode == "max" else f"({' + '.join(cells)})/{len(cells)}"
        unshifted = ["", _picture(before, "before the shift")] if self.right else []
        return plotting.row(
            _picture(moved, f"map, shifted by {_text(self.right)}" if self.right else "map", window),
            "→",
            _picture(output, f"{self.mode} of each window", {(row, column)}),
            *unshifted,
            alt=self.alt,
            below=f"{rule} = {_text(numbers['result'])}",
        )


def _picture(values, title, marked=()):
    if max(values.shape) > 7:
        return plotting.panel(values, title=title, size=180)
    return plotting.number_grid([[_text(value) for value in line] for line in values.tolist()], title=title, marked=marked)


def _text(number):
    return f"{round(number, 2) + 0:.10g}".replace("-", "−")
