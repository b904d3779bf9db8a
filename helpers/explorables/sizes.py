"""A window walks over its input: how many places it has, what it never reads, and what a layer costs (chapter 3)."""

import torch
import torch.nn.functional as F
import traitlets
from matplotlib.patches import Rectangle
from torch import nn

from helpers import plotting
from helpers.explorables.explorable import Explorable, Whole
from helpers.receptive_field import receptive_field
from helpers.sizes import cells_left_over, output_size, parameter_count

ALONG_A_SIDE = ("input_size", "kernel_size", "stride", "padding", "dilation")


class Sizes(Explorable):
    """A square input, a kernel's settings, and the output that they give: counted, by the formula, and as torch has it.

    Attributes
    ----------
    input_size, kernel_size, stride, padding, dilation : int
        Along each side, under torch's names. The kernel must fit into the padded input at least once.
    position : (int, int)
        Row and column of the output whose window is drawn, from (0, 0).
    in_channels, out_channels : int
        For the number of parameters and of multiplications.

    Raises
    ------
    traitlets.TraitError
        If a value is none of these; the figure stays as it was.
    """

    input_size = Whole(7, min=1, max=32).tag(sync=True)
    kernel_size = Whole(3, min=1, max=11).tag(sync=True)
    stride = Whole(1, min=1, max=8).tag(sync=True)
    padding = Whole(0, min=0, max=5).tag(sync=True)
    dilation = Whole(1, min=1, max=5).tag(sync=True)
    position = traitlets.Tuple(Whole(), Whole(), default_value=(0, 0)).tag(sync=True)
    in_channels = Whole(1, min=1, max=512).tag(sync=True)
    out_channels = Whole(1, min=1, max=512).tag(sync=True)
    caption = traitlets.Unicode(
        "The bar under the input is the formula: the first window, then a piece for every step, then what is left over. "
        "Change one setting and see which piece changes. When is nothing left over?"
    ).tag(sync=True)

    @traitlets.validate(*ALONG_A_SIDE)
    def _fits_once(self, proposal):
        try:
            output_size(**self._side() | {proposal.trait.name: proposal.value})
        except (TypeError, ValueError) as error:
            raise traitlets.TraitError(str(error)) from None
        return proposal.value

    @traitlets.validate("position")
    def _on_the_output(self, proposal):
        places = output_size(**self._side())
        if not all(0 <= place < places for place in proposal.value):
            raise traitlets.TraitError(f"the output has rows and columns 0 to {places - 1}, got position {proposal.value}")
        return proposal.value

    @traitlets.observe(*ALONG_A_SIDE)
    def _stay_on_the_output(self, change):
        last = output_size(**self._side()) - 1
        self.position = tuple(min(place, last) for place in self.position)

    def _side(self):
        return {name: getattr(self, name) for name in ALONG_A_SIDE}

    def _layer(self):
        settings = {name: getattr(self, name) for name in ALONG_A_SIDE[1:]}
        with torch.device("meta"):  # its shapes matter, not its weights
            return nn.Conv2d(self.in_channels, self.out_channels, **settings)

    def _times_read(self):
        """How many windows read each pixel: the gradient of the output's sum, if all weights are 1."""
        image = torch.ones(1, 1, self.input_size, self.input_size, requires_grad=True)
        weight = torch.ones(1, 1, self.kernel_size, self.kernel_size)
        F.conv2d(image, weight, stride=self.stride, padding=self.padding, dilation=self.dilation).sum().backward()
        return image.grad[0, 0]

    def _window(self):
        """Rows and columns that the window reads; negative numbers, and those behind the input, lie in the padding."""
        fields = receptive_field(self._layer())
        return [field.cells(place)[:: self.dilation] for field, place in zip(fields, self.position)]

    def numbers(self):
        """What the formula is made of, ``output_size``, what is ``left_over``, the window's ends, and what it all costs."""
        places, layer = output_size(**self._side()), self._layer()
        rows, columns = self._window()
        return {
            "room": output_size(**self._side() | {"stride": 1}) - 1,
            "steps": places - 1,
            "places": places,
            "output_size": [places, places],
            "left_over": cells_left_over(**self._side()),
            "never": int((self._times_read() == 0).sum()),
            "rows": [rows[0], rows[-1]],
            "columns": [columns[0], columns[-1]],
            "parameters": parameter_count(layer),
            "multiplications": layer.weight.numel() * places**2,
        }

    @property
    def alt(self):
        numbers = self.numbers()
        places, left, pixels = numbers["places"], numbers["left_over"], self.input_size**2
        fits = f"It does not fit: cells left over at the end of each side, {left}" if left else "It fits"
        return (
            f"A {self.kernel_size} by {self.kernel_size} kernel on a {self.input_size} by {self.input_size} input, "
            f"stride {self.stride}, padding {self.padding}, dilation {self.dilation}: the output is {places} by {places}. "
            f"{fits}; {numbers['never']} of the {pixels} pixels are never read."
        )

    def fallback(self):
        side, padding, numbers = self.input_size, self.padding, self.numbers()
        drawing, end = plotting.axes(5.8, 3.2, columns=2), max(side + 2 * padding, numbers["places"])
        for axes, cells, title in (
            (drawing[0], range(-padding, side + padding + 1), f"input {side}×{side}" + f", padding {padding}" * bool(padding)),
            (drawing[1], range(numbers["places"] + 1), "output {}×{}".format(*numbers["output_size"])),
        ):
            axes.vlines(cells, cells[0], cells[-1], color=plotting.MUTED, linewidth=0.6)
            axes.hlines(cells, cells[0], cells[-1], color=plotting.MUTED, linewidth=0.6)
            axes.set_title(title, loc="left")
            axes.set(aspect="equal", xlim=(cells[0] - 0.2, cells[0] + end + 0.2), ylim=(cells[0] + end + 1, cells[0] - 0.2))
            axes.set_axis_off()
        drawing[0].add_patch(Rectangle((0, 0), side, side, fill=False, linewidth=2, color=plotting.INK))
        rows, columns = self._window()
        for row in rows:
            for column in columns:
                drawing[0].add_patch(Rectangle((column, row), 1, 1, color=plotting.SECOND, alpha=0.5))
        drawing[1].add_patch(Rectangle(self.position[::-1], 1, 1, color=plotting.SECOND, alpha=0.5))
        pieces = [self.dilation * (self.kernel_size - 1) + 1] + [self.stride] * numbers["steps"] + [numbers["left_over"]]
        start = -padding
        for number, piece in enumerate(filter(None, pieces)):
            colour = plotting.ACCENT if number % 2 else plotting.SECOND
            drawing[0].add_patch(
                Rectangle((start + 0.1, side + padding + 0.4), piece - 0.2, 0.3, color=colour, fill=number <= numbers["steps"])
            )
            start += piece
        never = (self._times_read() == 0).nonzero() + 0.5
        drawing[0].plot(never[:, 1], never[:, 0], linestyle="", marker="x", color=plotting.INK, markersize=min(6, 60 / side))
        span = self.dilation * (self.kernel_size - 1)
        formula = (
            f"⌊({side} + 2·{padding} − {span} − 1)/{self.stride}⌋ + 1 = "
            f"⌊{numbers['room']}/{self.stride}⌋ + 1 = {numbers['places']}. "
            f"Left over at the end: {numbers['left_over']}. Pixels never read (×): {numbers['never']} of {side**2}."
        )
        picture = plotting.drawn(drawing, alt=self.alt).body
        return plotting.Figure(f'{picture}<div class="below">{formula}</div>', alt=self.alt)
