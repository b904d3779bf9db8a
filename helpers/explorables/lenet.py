"""Draw a digit, and see what every layer of a trained LeNet makes of it (chapter 5)."""

import functools

import numpy
import torch
import traitlets
from torch.nn import functional as F

from helpers import plotting, trained
from helpers.explorables import data
from helpers.explorables.explorable import Explorable, Matrix, Whole
from helpers.receptive_field import receptive_field

# The layers that the figure draws: what each puts out, and how many maps (or units) stand beside each other.
DRAWN = {
    "relu1": ((6, 28, 28), 6),
    "pool1": ((6, 14, 14), 6),
    "relu2": ((16, 10, 10), 8),
    "pool2": ((16, 5, 5), 8),
    "relu3": ((120, 1, 1), 30),
    "relu4": ((84, 1, 1), 21),
}
WINDOWED = ("relu1", "pool1", "relu2", "pool2")


@functools.cache
def network(name):
    """The trained LeNet in double precision, as JavaScript computes."""
    return trained.load(name).double()


def digit_image(block, digit):
    """One of the ten digits of a block of :mod:`helpers.explorables.data`: float64, shape (28, 28), from 0 to 1."""
    pixels = numpy.frombuffer(data.read(block), dtype=numpy.uint8).reshape(10, 28, 28)
    return torch.from_numpy(pixels[digit] / 255)


def tiled(maps, across):
    """Maps (count, rows, columns) as one picture, ``across`` of them in a row, with white lines between."""
    gap = int(maps.shape[1] > 1)
    maps = F.pad(maps / maps.max().clamp(min=1e-9), (0, gap, 0, gap), value=1)
    picture = maps.unflatten(0, (-1, across)).transpose(1, 2).flatten(2).flatten(0, 1)
    return picture[: picture.shape[0] - gap, : picture.shape[1] - gap]


class Drawing(Matrix):
    """A trait: an image of 28×28 numbers from 0 to 1, or None."""

    info_text = "an image of 28×28 numbers from 0 (paper) to 1 (ink), or None"

    def __init__(self):
        super().__init__(None, largest=28, allow_none=True)

    def default(self, figure=None):
        return None

    def validate(self, figure, value):
        rows = super().validate(figure, value)
        if len(rows) != 28 or len(rows[0]) != 28 or not all(0 <= number <= 1 for row in rows for number in row):
            raise traitlets.TraitError(f"{self.name} must be {self.info_text}: of a batch take images[0, 0]")
        return rows


class LeNet(Explorable):
    """A digit, the activations of every layer of LeNet, and the probabilities of all ten answers.

    Attributes
    ----------
    digit : int
        A digit from the test images, 0 to 9.
    misread : bool
        Take the one that the plain network takes for another digit.
    image : None or 28 rows of 28 numbers
        A drawing in place of ``digit``, from 0 (paper) to 1 (ink). Tensors and arrays may be assigned.
    network : {"plain", "augmented"}
        The weights of ``helpers.trained``.
    unit : None or (layer, map, row, column)
        The unit whose number is explained, such as ("pool1", 3, 0, 13); units of the dense layers ("relu3", "relu4")
        have row and column 0.

    Raises
    ------
    traitlets.TraitError
        If a value is none of these; the figure stays as it was.
    """

    needs = ("digits", "misread", "lenet_plain", "lenet_augmented")
    sources = ("network",)
    digit = Whole(7, min=0, max=9).tag(sync=True)
    misread = traitlets.Bool(False).tag(sync=True)
    image = Drawing().tag(sync=True)
    network = traitlets.Enum(trained.NAMES, default_value="plain").tag(sync=True)
    unit = traitlets.Tuple(
        traitlets.Enum([*DRAWN]), Whole(), Whole(), Whole(), default_value=None, allow_none=True
    ).tag(sync=True)
    caption = traitlets.Unicode(
        "Draw on the digit, or draw one of your own: the course's trained LeNet reads it at every stroke. "
        "Each layer's maps are brightest where it finds what it looks for; choose a cell to see where its number comes from."
    ).tag(sync=True)

    @traitlets.validate("unit")
    def _unit_exists(self, proposal):
        if proposal.value is not None:
            layer, *place = proposal.value
            shape = DRAWN[layer][0]
            if not all(0 <= index < size for index, size in zip(place, shape)):
                raise traitlets.TraitError(
                    "{} has {} maps of {}×{}, got map {}, row {}, column {}".format(layer, *shape, *place)
                )
        return proposal.value

    def _image(self):
        if self.image is not None:
            return torch.tensor(self.image, dtype=torch.float64)
        return digit_image("misread" if self.misread else "digits", self.digit)

    def _run(self):
        """What every layer puts out, by name, without the dimension of the batch."""
        maps, outputs = self._image()[None, None], {}
        with torch.no_grad():
            for name, layer in network(self.network).layers.named_children():
                maps = layer(maps)
                outputs[name] = maps[0]
        return outputs

    def numbers(self):
        """``logits`` and ``probabilities``, the two best ``answers`` with their probabilities (``best``), and the unit."""
        outputs = self._run()
        probabilities = outputs["fc3"].softmax(0)
        best = probabilities.topk(2)
        numbers = {
            "logits": outputs["fc3"].tolist(),
            "probabilities": probabilities.tolist(),
            "answers": best.indices.tolist(),
            "best": best.values.tolist(),
        }
        return numbers if self.unit is None else numbers | self._explained(outputs)

    def _explained(self, outputs):
        """How the unit's number comes about: the window of a pooling, or the sum and the bias before a ReLU."""
        layer, channel, row, column = self.unit
        layers = network(self.network).layers
        names = [name for name, _ in layers.named_children()]
        explained = {"activation": outputs[layer].reshape(DRAWN[layer][0])[channel, row, column].item()}
        if layer in WINDOWED:
            explained["field"] = [side.size for side in receptive_field(layers[: names.index(layer) + 1])]
        if layer.startswith("pool"):
            window = outputs[names[names.index(layer) - 1]][channel, 2 * row :, 2 * column :][:2, :2]
            return explained | {"window": window.tolist()}
        name = names[names.index(layer) - 1]  # the layer in front of the ReLU
        before, bias = (
            outputs[name].reshape(DRAWN[layer][0])[channel, row, column].item(),
            layers.get_submodule(name).bias[channel].item(),
        )
        terms = layers.get_submodule(name).weight[0].numel()
        return explained | {"terms": terms, "products": before - bias, "bias": bias, "before": before}

    @property
    def later(self):
        return tuple(f"lenet_{name}" for name in trained.NAMES if name != self.network)

    @property
    def alt(self):
        what = "a drawing" if self.image is not None else f"a handwritten {self.digit} of the test images"
        first, second = self.numbers()["answers"]
        return f"LeNet ({self.network} weights) reads {what} as {first}; its second guess is {second}. Below, the maps of its layers."

    def fallback(self):
        outputs, numbers = self._run(), self.numbers()
        (first, second), best = numbers["answers"], numbers["best"]
        pictures = []
        for layer, (shape, across) in DRAWN.items():
            picture = tiled(outputs[layer].reshape(shape), across)
            what = f"{shape[0]} maps of {shape[1]}×{shape[2]}" if shape[1] > 1 else f"{shape[0]} units"
            pictures.append(plotting.panel(picture, title=f"{layer}: {what}", size=340, limits=(0, 1)))
        return plotting.row(
            plotting.panel(self._image(), title="image, 28×28", size=140, limits=(0, 1)),
            *pictures,
            plotting.number_grid(
                [[str(digit) for digit in range(10)], numbers["probabilities"]],
                digits=2,
                title="softmax: a probability for each digit",
            ),
            alt=self.alt,
            below=f"LeNet reads {first} ({best[0]:.1%}), then {second} ({best[1]:.1%}).",
        )
