"""A kernel slides over an image: one sum of products for each place (chapter 2)."""

import torch
import traitlets

from helpers import plotting
from helpers.conv import conv2d
from helpers.explorables.explorable import Explorable, Matrix, Whole
from helpers.sizes import output_size

LECTURE_IMAGE = [[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]]
LECTURE_KERNEL = [[1, 0, 1], [0, 1, 0], [1, 0, 1]]


class Convolution(Explorable):
    """An image, a kernel, and the activation map that the one makes of the other, one window after the other.

    Attributes
    ----------
    image : list of lists of numbers
        Rows of the image, at most 64×64. Tensors and arrays may be assigned. 0 is drawn black and 1 white.
    kernel : list of lists of numbers
        At most 7×7, and no larger than the image.
    position : (int, int)
        Row and column of the map whose sum is written out, from (0, 0).
    mode : {"cross-correlation", "convolution"}
        The kernel as it is, which is what ``nn.Conv2d`` computes, or turned by 180°.
    whole : bool
        Show all of the map, and not only what the window has passed.

    Raises
    ------
    traitlets.TraitError
        If a value is none of these; the figure stays as it was.
    """

    needs = ("digits", "photograph")
    image = Matrix(LECTURE_IMAGE, largest=64).tag(sync=True)
    kernel = Matrix(LECTURE_KERNEL, largest=7).tag(sync=True)
    position = traitlets.Tuple(Whole(), Whole(), default_value=(0, 0)).tag(sync=True)
    mode = traitlets.Enum(["cross-correlation", "convolution"], default_value="cross-correlation").tag(sync=True)
    whole = traitlets.Bool(False).tag(sync=True)
    caption = traitlets.Unicode(
        "Lay the kernel on the image, multiply each pixel with the weight that lies on it, and add up: "
        "one number of the activation map. Then move the window on."
    ).tag(sync=True)

    @traitlets.validate("image", "kernel")
    def _kernel_fits(self, proposal):
        shapes = {name: (len(rows), len(rows[0])) for name, rows in (("image", self.image), ("kernel", self.kernel))}
        shapes[proposal.trait.name] = (len(proposal.value), len(proposal.value[0]))
        if any(kernel > image for kernel, image in zip(shapes["kernel"], shapes["image"])):
            kernel, image = ("{}×{}".format(*shapes[name]) for name in ("kernel", "image"))
            raise traitlets.TraitError(f"a kernel of {kernel} does not fit into an image of {image}")
        return proposal.value

    @traitlets.validate("position")
    def _on_the_map(self, proposal):
        rows, columns = self._map_size()
        row, column = proposal.value
        if not (0 <= row < rows and 0 <= column < columns):
            places = f"rows 0 to {rows - 1} and columns 0 to {columns - 1}"
            raise traitlets.TraitError(f"the map has {places}, got position {proposal.value}")
        return proposal.value

    @traitlets.observe("image", "kernel")
    def _stay_on_the_map(self, change):
        self.position = tuple(min(place, size - 1) for place, size in zip(self.position, self._map_size()))

    def _map_size(self):
        sides = zip((self.image, self.image[0]), (self.kernel, self.kernel[0]))
        return [output_size(len(image), kernel_size=len(kernel)) for image, kernel in sides]

    def _computed(self):
        """Image, kernel as it is laid down, and map: float64 tensors of shape (rows, columns)."""
        image, kernel = (torch.tensor(rows, dtype=torch.float64) for rows in (self.image, self.kernel))
        if self.mode == "convolution":
            kernel = kernel.flip(0, 1)
        return image, kernel, conv2d(image[None, None], kernel[None, None])[0, 0]

    def numbers(self):
        """``window`` and ``weights`` as they lie on each other, ``terms``, ``sum``, ``output`` and ``output_size``."""
        image, kernel, output = self._computed()
        row, column = self.position
        window = image[row:, column:][: kernel.shape[0], : kernel.shape[1]]
        passed = (torch.arange(output.numel()).reshape(output.shape) <= row * output.shape[1] + column) | self.whole
        return {
            "window": window.tolist(),
            "weights": kernel.tolist(),
            "terms": (window * kernel).tolist(),
            "sum": output[row, column].item(),
            "output": [
                [value if seen else None for value, seen in zip(*line)] for line in zip(output.tolist(), passed.tolist())
            ],
            "output_size": self._map_size(),
        }

    @property
    def alt(self):
        (row, column), numbers = self.position, self.numbers()
        return (
            f"{self.mode.capitalize()}: a {len(self.kernel)} by {len(self.kernel[0])} kernel slides over "
            f"a {len(self.image)} by {len(self.image[0])} image. "
            f"At row {row}, column {column} of the activation map the sum of products is {_text(numbers['sum'])}."
        )

    def fallback(self):
        image, kernel, output = self._computed()
        (row, column), numbers = self.position, self.numbers()
        window = {(row + i, column + j) for i in range(kernel.shape[0]) for j in range(kernel.shape[1])}
        turned = ["→", _picture(kernel, "turned by 180°")] if self.mode == "convolution" else []
        limits = (0, kernel.sum().item()) if kernel.sum() > 0 else None
        factors = [pair for lines in zip(numbers["window"], numbers["weights"]) for pair in zip(*lines)]
        products = " + ".join(f"{_text(pixel)}·{_text(weight)}" for pixel, weight in factors)
        exact = all(abs(value - round(value, 2)) < 1e-9 for pair in factors for value in (*pair, pair[0] * pair[1]))
        return plotting.row(
            _picture(image, f"image, {image.shape[0]}×{image.shape[1]}", window),
            "∗",
            _picture(torch.tensor(self.kernel), "kernel"),
            *turned,
            "=",
            _picture(output, f"activation map, {output.shape[0]}×{output.shape[1]}", {(row, column)}, limits),
            alt=self.alt,
            below=f"row {row}, column {column}: {products} {'=' if exact else '≈'} {_text(numbers['sum'])}",
        )


def _picture(values, title, marked=(), limits=(0, 1)):
    """Numbers where they can be read, else pixels; ``limits`` are the values drawn black and white."""
    if max(values.shape) > 7:
        return plotting.panel(values, title=title, size=180, signed=limits is None, limits=limits)
    return plotting.number_grid([[_text(value) for value in line] for line in values.tolist()], title=title, marked=marked)


def _text(number):
    return f"{round(number, 2) + 0:.10g}".replace("-", "−")
