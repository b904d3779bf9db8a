"""A stack of layers that the reader edits, and what one unit of it sees of the input (chapter 3)."""

import torch
import torch.nn.functional as F
import traitlets
from matplotlib.patches import Rectangle
from torch import nn

from helpers import plotting
from helpers.explorables.explorable import Explorable, Whole
from helpers.receptive_field import POINTWISE, receptive_field
from helpers.sizes import output_size, parameter_count

KINDS = {"conv": nn.Conv2d, "pool": (nn.MaxPool2d, nn.AvgPool2d)}
DEFAULT = {"kind": "conv", "kernel_size": 3, "stride": 1, "padding": 0, "dilation": 1}
LIMITS = {"kernel_size": (1, 7), "stride": (1, 4), "padding": (0, 6), "dilation": (1, 8)}


class Stack(traitlets.TraitType):
    """A trait that holds layers as dicts; ``nn.Sequential``, or a list of layers of torch, may be assigned to it."""

    MOST = 6  # layers, for the drawing's sake

    def default(self, figure=None):
        return [dict(DEFAULT) for _ in range(3)]

    def validate(self, figure, value):
        if not isinstance(value, (list, tuple, nn.Sequential)):
            raise traitlets.TraitError(f"layers must be a list of layers or an nn.Sequential, got {value!r}")
        layers = [_settings(layer) for layer in value if not isinstance(layer, POINTWISE)]
        if not 1 <= len(layers) <= self.MOST:
            raise traitlets.TraitError(f"the figure draws 1 to {self.MOST} layers that have windows, got {len(layers)}")
        return layers


def _settings(layer):
    """A layer of torch, or a dict with some of its settings, as a dict with all of them."""
    if getattr(layer, "ceil_mode", False):
        raise traitlets.TraitError(f"the figure rounds sizes down, so ceil_mode must be False; got {layer!r}")
    for kind, classes in KINDS.items():
        if isinstance(layer, classes):
            sides = {name: getattr(layer, name, 1) for name in LIMITS}
            square = {name: side[0] for name, side in sides.items() if isinstance(side, tuple) and len(set(side)) == 1}
            layer = {"kind": kind, **sides, **square}
    if not isinstance(layer, dict) or layer.get("kind", "conv") not in list(KINDS) or set(layer) - set(DEFAULT):
        raise traitlets.TraitError(
            "a layer is a Conv2d, MaxPool2d or AvgPool2d, or a dict of kind ('conv' or 'pool') and "
            f"{', '.join(LIMITS)}; got {layer!r}"
        )
    layer = {**DEFAULT, **layer}
    for name, (least, most) in LIMITS.items():
        if type(layer[name]) is not int or not least <= layer[name] <= most:
            raise traitlets.TraitError(f"{name} must be one integer from {least} to {most}, got {layer[name]!r}")
    if layer["kind"] == "pool" and 2 * layer["padding"] > layer["kernel_size"]:
        raise traitlets.TraitError(
            "torch pads a pooling layer by at most half of its window, got {padding} for {kernel_size}".format(**layer)
        )
    return layer


class ReceptiveField(Explorable):
    """A cut through a stack of layers: one unit, the units that it looks at, and so on down to the input.

    Attributes
    ----------
    layers : list of dicts
        From the input up, each with ``kind`` ("conv" or "pool"), ``kernel_size``, ``stride``, ``padding`` and
        ``dilation``. ``nn.Sequential`` or a list of torch's layers may be assigned; those without a window are left out.
    input_size : int
        Pixels along one side.
    unit : (int, int)
        The unit whose field is drawn: how many layers it has below it, and its place along the side of its map.

    Raises
    ------
    traitlets.TraitError
        If a value is none of these, or a layer does not fit on the one below; the figure stays as it was.
    """

    layers = Stack().tag(sync=True)
    input_size = Whole(17, min=1, max=64).tag(sync=True)
    unit = traitlets.Tuple(Whole(), Whole()).tag(sync=True)
    caption = traitlets.Unicode(
        "Choose a unit in any map: all that it looks at, down to the input, is marked. "
        "Then change the layer that it belongs to. Which change lets it see more, and what does that cost?"
    ).tag(sync=True)

    @traitlets.default("unit")
    def _middle_of_the_last_map(self):
        return len(self.layers), (self._map_sizes()[-1] - 1) // 2

    @traitlets.validate("layers", "input_size")
    def _every_layer_fits(self, proposal):
        self._map_sizes(**{proposal.trait.name: proposal.value})
        return proposal.value

    @traitlets.validate("unit")
    def _on_its_map(self, proposal):
        (depth, place), sizes = proposal.value, self._map_sizes()
        if not 0 <= depth < len(sizes):
            raise traitlets.TraitError(f"there are maps 0 (the input) to {len(sizes) - 1}, got unit {proposal.value}")
        if not 0 <= place < sizes[depth]:
            raise traitlets.TraitError(f"map {depth} has units 0 to {sizes[depth] - 1}, got unit {proposal.value}")
        return proposal.value

    @traitlets.observe("layers", "input_size")
    def _stay_on_a_map(self, change):
        sizes = self._map_sizes()
        depth = min(self.unit[0], len(sizes) - 1)
        self.unit = depth, min(self.unit[1], sizes[depth] - 1)

    def _map_sizes(self, layers=None, input_size=None):
        sizes = [input_size or self.input_size]
        for depth, layer in enumerate(layers or self.layers, start=1):
            try:
                sizes.append(output_size(sizes[-1], **{name: layer[name] for name in LIMITS}))
            except (TypeError, ValueError) as error:
                raise traitlets.TraitError(f"layer {depth}: {error}") from None
        return sizes

    def _modules(self):
        """The layers up to the unit's, each with one channel, as layers of torch."""
        classes = {"conv": lambda **settings: nn.Conv2d(1, 1, **settings), "pool": nn.MaxPool2d}
        return [classes[layer["kind"]](**{name: layer[name] for name in LIMITS}) for layer in self.layers]

    def _seen(self):
        """Which pixels along the side the unit depends on: those with a gradient, if all weights are 1."""
        line = values = torch.ones(1, 1, self.input_size, requires_grad=True)
        for layer in self.layers[: self.unit[0]]:
            ones = torch.ones(1, 1, layer["kernel_size"])
            values = F.conv1d(values, ones, stride=layer["stride"], padding=layer["padding"], dilation=layer["dilation"])
        values[0, 0, self.unit[1]].backward()
        return line.grad[0, 0] != 0

    def numbers(self):
        """What the table and the sentences say, maps from the input up; but ``map_size``, as drawn, from the top down."""
        depth, place = self.unit
        modules, seen = self._modules(), int(self._seen().sum())
        fields = [receptive_field(modules[:below])[0] for below in range(len(modules) + 1)]
        cells = fields[depth].cells(place)
        return {
            "map_size": self._map_sizes()[::-1],
            **{name: [getattr(field, name) for field in fields] for name in ("size", "start", "step")},
            "pixels": [cells[0], cells[-1]],
            "area": len(cells) ** 2,
            "seen": seen**2,
            "parameters": parameter_count(nn.Sequential(*modules[:depth])),
            "parameters_of_one": parameter_count(nn.Conv2d(1, 1, len(cells), device="meta")),
        }

    @property
    def alt(self):
        (depth, place), numbers = self.unit, self.numbers()
        size, pixels = numbers["size"][depth], numbers["pixels"]
        names = ", ".join(_name(layer) for layer in self.layers)
        return (
            f"A stack of layers on {self.input_size} by {self.input_size} pixels: {names}. "
            f"Unit {place} of map {depth} has a receptive field "
            f"of {size} by {size}, from pixel {pixels[0]} to {pixels[-1]} along each side."
        )

    def fallback(self):
        (depth, place), numbers = self.unit, self.numbers()
        drawing = plotting.axes(5.8, 0.6 + 0.6 * len(self.layers))
        spans = [(place, place)]  # of the units that the chosen one looks at, from its own map down
        for layer in self.layers[:depth][::-1]:
            reach = layer["dilation"] * (layer["kernel_size"] - 1)
            first, last = (end * layer["stride"] - layer["padding"] for end in spans[0])
            spans.insert(0, (first, last + reach))
        sides = []
        fields = zip(numbers["size"], numbers["start"], numbers["step"])
        for level, (count, (size, start, step)) in enumerate(zip(self._map_sizes(), fields)):
            left = start + (size - step) / 2  # a unit is drawn as wide as its step, around the middle of its field
            for unit in range(count):
                corner = left + unit * step, level
                drawing.add_patch(Rectangle(corner, step, 0.4, fill=False, color=plotting.MUTED, linewidth=0.6))
            if level <= depth:
                low, high = left + spans[level][0] * step, left + (spans[level][1] + 1) * step
                drawing.add_patch(Rectangle((low, level), high - low, 0.4, color=plotting.SECOND, alpha=0.5))
                sides.append((low, high))
            name = _name(self.layers[level - 1]) if level else "input"
            drawing.text(-0.02, level + 0.2, f"{name} ", ha="right", va="center", transform=drawing.get_yaxis_transform())
        for level, (above, below) in enumerate(zip(sides[1:], sides)):
            for end in (0, 1):
                heights = [level + 1, level + 0.4]
                drawing.plot([above[end], below[end]], heights, color=plotting.SECOND, linestyle="-", linewidth=1)
        drawing.set(
            xlim=(min([0, *(low for low, _ in sides)]) - 0.3, max([self.input_size, *(high for _, high in sides)]) + 0.3),
            ylim=(-0.2, len(self.layers) + 0.5),
        )
        drawing.set_axis_off()
        below = (
            f"Field: {numbers['size'][depth]}×{numbers['size'][depth]}. The layers have {numbers['parameters']} parameters, "
            f"one filter of that size {numbers['parameters_of_one']}."
        )
        return plotting.Figure(f'{plotting.drawn(drawing, alt=self.alt).body}<div class="below">{below}</div>', alt=self.alt)


def _name(layer):
    others = ", ".join(f"{name} {layer[name]}" for name in ("stride", "padding", "dilation") if layer[name] != DEFAULT[name])
    return "{kernel_size}×{kernel_size} {kind}".format(**layer) + f" ({others})" * bool(others)
