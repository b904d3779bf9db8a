"""Shift an image and apply a layer, or apply the layer and shift its map: are they the same? (chapter 6)"""

import functools
from itertools import product

import torch
import traitlets

from helpers import plotting, trained
from helpers.conv import conv2d
from helpers.equivariance import shift_error, shifted
from helpers.explorables import data
from helpers.explorables.explorable import Explorable, Whole
from helpers.pooling import max_pool2d

SOBEL = torch.tensor([[[[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]]], dtype=torch.float64)
# Name: the layer, its stride, and the cells at each side of its map that padding reaches.
OPERATIONS = {
    "convolution": (functools.partial(conv2d, weight=SOBEL), 1, 0),
    "convolution, padding 1": (functools.partial(conv2d, weight=SOBEL, padding=1), 1, 1),
    "convolution, stride 2": (functools.partial(conv2d, weight=SOBEL, stride=2), 2, 0),
    "max pooling, stride 2": (functools.partial(max_pool2d, kernel_size=2), 2, 0),
    "LeNet's first stage": (lambda images: _first_stage()(images), 2, 1),
}


@functools.cache
def _first_stage():
    return trained.load("plain").double().layers[:3].requires_grad_(False)


class Equivariance(Explorable):
    """The map of a shifted image beside the shifted map of the image, and what tells the one from the other.

    Attributes
    ----------
    image : {"digit 0", …, "digit 9", "photograph"}
    operation : str
        One of ``helpers.explorables.equivariance.OPERATIONS``. The convolutions have Sobel's kernel for vertical edges;
        LeNet's first stage is convolution, ReLU and max pooling with the trained weights of the plain network.
    channel : int
        Which of the six maps of LeNet's first stage, from 0.
    down, right : int
        Pixels by which the image is shifted, from −8 to 8; what leaves is lost, and zeros come in.

    Raises
    ------
    traitlets.TraitError
        If a value is none of these; the figure stays as it was.
    """

    needs = ("digits", "photograph", "lenet_plain")
    image = traitlets.Enum([*(f"digit {digit}" for digit in range(10)), "photograph"], default_value="digit 7").tag(sync=True)
    operation = traitlets.Enum(list(OPERATIONS), default_value="convolution").tag(sync=True)
    channel = Whole(0, min=0, max=5).tag(sync=True)
    down = Whole(2, min=-8, max=8).tag(sync=True)
    right = Whole(3, min=-8, max=8).tag(sync=True)
    caption = traitlets.Unicode(
        "Drag the shifted image. Above, the layer sees it; below, the layer sees the image where it was, and its map is shifted. "
        "Where the difference is black, the two ways agree: there the layer is equivariant."
    ).tag(sync=True)

    def _image(self):
        block, digit = ("photograph", 0) if self.image == "photograph" else ("digits", int(self.image[-1]))
        side = 48 if block == "photograph" else 28
        pixels = torch.frombuffer(bytearray(data.read(block)), dtype=torch.uint8)
        return pixels.reshape(-1, 1, side, side)[digit : digit + 1].double() / 255

    def _layer(self, images):
        maps = OPERATIONS[self.operation][0](images)
        return maps[:, self.channel : self.channel + 1] if maps.shape[1] > 1 else maps

    def _computed(self):
        """The map of the shifted image, the shifted map, that map's shift, and the part that is away from the border."""
        _, stride, border = OPERATIONS[self.operation]
        image = self._image()
        moved, still = self._layer(shifted(image, self.down, self.right))[0, 0], self._layer(image)[0, 0]
        inside = tuple(
            slice(border + max(0, -(-by // stride)), side - border + min(0, by // stride))
            for by, side in zip((self.down, self.right), still.shape)
        )
        # Half a cell is nothing that a map can be shifted by: then the best of the nearest shifts counts.
        nearest = product(*(sorted({by // stride, -(-by // stride)}) for by in (self.down, self.right)))
        by = min(nearest, key=lambda by: (moved - shifted(still, *by))[inside].norm())
        return moved, shifted(still, *by), by, inside

    def numbers(self):
        """``moved`` (map of the shifted image), ``shifted`` (shifted map), ``difference`` (without sign), ``map_shift``
        (rows, columns), and of the cells away from the border and, if there are any, at it how many there are and how many differ;
        ``error`` is what :func:`helpers.equivariance.shift_error` measures."""
        moved, still, by, inside = self._computed()
        _, stride, border = OPERATIONS[self.operation]
        difference = (moved - still).abs()
        differ = difference > 1e-9
        border_cells = differ.numel() - differ[inside].numel()
        return {
            "moved": moved.tolist(),
            "shifted": still.tolist(),
            "difference": difference.tolist(),
            "map_shift": list(by),
            "inside": differ[inside].numel(),
            "inside_differ": int(differ[inside].sum()),
            **({"border": border_cells, "border_differ": int(differ.sum() - differ[inside].sum())} if border_cells else {}),
            "error": shift_error(self._layer, self._image(), self.down, self.right, stride=stride, border=border),
        }

    @property
    def alt(self):
        numbers = self.numbers()
        return (
            f"{self.image.capitalize()}, shifted by {_text(self.down)} down and {_text(self.right)} to the right, and {self.operation}: "
            f"the map of the shifted image beside the shifted map of the image. {_differ(numbers)}"
        )

    def fallback(self):
        moved, still, _, _ = self._computed()
        numbers, image = self.numbers(), self._image()[0, 0]
        limits = (min(0, moved.min().item(), still.min().item()), max(moved.max().item(), still.max().item()))
        return plotting.row(
            plotting.panel(shifted(image, self.down, self.right), title="image, shifted", size=112, limits=(0, 1)),
            plotting.panel(moved, title="its map", size=112, limits=limits),
            plotting.panel(still, title="map of the image, shifted", size=112, limits=limits),
            plotting.panel((moved - still).abs(), title="difference", size=112),
            alt=self.alt,
            below=f"{self.operation}, shift by {_text(self.down)} down and {_text(self.right)} to the right. {_differ(numbers)}",
        )


def _differ(numbers):
    at_the_border = f", at the border {numbers['border_differ']} of {numbers['border']}" if "border" in numbers else ""
    return f"Away from the border {numbers['inside_differ']} of {numbers['inside']} cells differ{at_the_border}."


def _text(number):
    return str(number).replace("-", "−")
