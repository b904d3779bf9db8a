"""Three channels, two filters: a sum of 27 products and a bias for each number of each map (chapter 2)."""

import copy

import torch
import traitlets
from torch.nn import functional as F

from helpers import plotting
from helpers.conv import conv2d
from helpers.explorables.explorable import Explorable, Whole

IMAGE = torch.tensor([
    [[1, 1, 0], [1, 1, 0], [1, 0, 0]],
    [[2, 2, 0], [0, 2, 1], [1, 1, 1]],
    [[2, 0, 1], [2, 2, 1], [2, 0, 2]],
])  # fmt: skip
WEIGHT = [
    [[[1, 0, 1], [1, 0, -1], [-1, 1, 0]], [[-1, -1, 1], [-1, 0, -1], [0, 0, 0]], [[0, 0, -1], [0, 1, 1], [0, 0, 1]]],
    [[[-1, 0, -1], [0, 0, -1], [-1, 0, 1]], [[1, -1, 0], [0, -1, 0], [1, 0, 1]], [[-1, 1, -1], [1, 1, 0], [-1, 1, 1]]],
]
SLIDE = torch.tensor([[[3, 2, 0], [4, 1, 0], [3, 1, 0]], [[7, 2, 2], [4, 0, 8], [1, -2, 1]]])
LIMIT = 99


class Channels(Explorable):
    """The lecture's image of three channels, framed with zeros, and its two filters of 3×3×3: two maps of 3×3.

    Attributes
    ----------
    weight : nested lists of whole numbers, shape (2, 3, 3, 3)
        Of filter, channel, row and column, as ``nn.Conv2d`` has it. A tensor may be assigned.
    bias : (int, int)
        One for each filter.
    position : (int, int, int)
        Filter, row and column of the number whose sum is written out.
    compare : bool
        Show beside the maps what the lecture's slide prints.

    Raises
    ------
    traitlets.TraitError
        If a value is none of these; the figure stays as it was.
    """

    weight = traitlets.Any().tag(sync=True)
    bias = traitlets.Tuple(
        Whole(min=-LIMIT, max=LIMIT), Whole(min=-LIMIT, max=LIMIT), default_value=(1, 0)
    ).tag(sync=True)
    position = traitlets.Tuple(
        Whole(min=0, max=1), Whole(min=0, max=2), Whole(min=0, max=2), default_value=(0, 0, 0)
    ).tag(sync=True)
    compare = traitlets.Bool(False).tag(sync=True)
    caption = traitlets.Unicode(
        "Choose a number of a map. It is the sum of 27 products, nine in each channel, and of the filter's bias. "
        "The weights and the biases can be changed."
    ).tag(sync=True)

    @traitlets.default("weight")
    def _of_the_lecture(self):
        return copy.deepcopy(WEIGHT)

    @traitlets.validate("weight")
    def _is_two_filters(self, proposal):
        try:
            weight = torch.as_tensor(proposal.value, dtype=torch.float64)
        except (TypeError, ValueError, OverflowError, RuntimeError):
            raise traitlets.TraitError(f"weight must be numbers of shape (2, 3, 3, 3), got {proposal.value!r}") from None
        if weight.shape != (2, 3, 3, 3):
            raise traitlets.TraitError(f"weight must have shape (2, 3, 3, 3), got {tuple(weight.shape)}")
        if not ((weight == weight.round()) & (weight.abs() <= LIMIT)).all():
            raise traitlets.TraitError(f"weight must hold whole numbers from −{LIMIT} to {LIMIT}, got {weight.tolist()}")
        return weight.int().tolist()

    def _computed(self):
        """Padded image (3, 5, 5), weight (2, 3, 3, 3), and maps (2, 3, 3)."""
        image, weight = F.pad(IMAGE, (1, 1, 1, 1)).double(), torch.tensor(self.weight).double()
        return image, weight, conv2d(image[None], weight, torch.tensor(self.bias).double())[0]

    def numbers(self):
        """``window``, ``weights``, ``terms``: 27 each. ``sums`` of the channels, ``bias``, ``sum``; ``output``: both maps.

        With ``compare``, also ``slide`` and, for each map, how many of its numbers are ``different`` from the slide's.
        """
        image, weight, output = self._computed()
        chosen, row, column = self.position
        window = image[:, row : row + 3, column : column + 3]
        terms = window * weight[chosen] + 0  # no −0
        numbers = {
            "window": window.tolist(),
            "weights": weight[chosen].tolist(),
            "terms": terms.tolist(),
            "sums": terms.sum((1, 2)).tolist() * 2,  # at the channel, and in the last line
            "bias": self.bias[chosen],
            "sum": output[self.position].item(),
            "output": output.tolist(),
        }
        if self.compare:
            numbers |= {"slide": SLIDE.tolist(), "different": (output != SLIDE).sum((1, 2)).tolist()}
        return numbers

    @property
    def alt(self):
        (chosen, row, column), numbers = self.position, self.numbers()
        return (
            f"An image of three channels under the three kernels of filter {chosen}. At row {row}, column {column} of its map, "
            f"the channels give {self._last_line(numbers)}."
        )

    def _last_line(self, numbers):
        first, second, third = (_text(value) for value in numbers["sums"][:3])
        return f"{first}, {second} and {third}; with the bias {_text(numbers['bias'])} the sum is {_text(numbers['sum'])}"

    def fallback(self):
        image, weight, output = self._computed()
        (chosen, row, column), numbers = self.position, self.numbers()
        corner = {(row + i, column + j) for i in range(3) for j in range(3)}
        lines = [
            f'<div class="panels" style="width:100%">{_grid(image[c], f"channel {c}", corner)}'
            f'<div class="panel sign">∗</div>{_grid(weight[chosen, c], f"kernel {c} of filter {chosen}")}'
            f'<div class="panel sign">→</div>{_grid(torch.tensor(numbers["terms"][c]), "products")}'
            f'<div class="panel sign">= {_text(numbers["sums"][c])}</div></div>'
            for c in range(3)
        ]
        marked = [{(row, column)} if f == chosen else () for f in (0, 1)]
        maps = [_grid(output[f], f"map {f}, bias {_text(self.bias[f])}", marked[f]) for f in (0, 1)]
        if self.compare:
            maps += [_grid(SLIDE[f], f"map {f} on the slide") for f in (0, 1)]
        parts = [_text(value) for value in (*numbers["sums"][:3], numbers["bias"])]
        below = " + ".join(f"({part})" if part.startswith("−") else part for part in parts)
        return plotting.row(*lines, *maps, alt=self.alt, below=f"{below} = {_text(numbers['sum'])}")


def _grid(values, title, marked=()):
    return plotting.number_grid(values, title=title, marked=marked)


def _text(value):
    return f"{value:.0f}".replace("-", "−")
