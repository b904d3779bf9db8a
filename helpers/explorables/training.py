"""Two recorded trainings, step by step: what the first layer's weights become, and what that is worth (chapter 1)."""

import functools

import numpy as np
import torch
import traitlets

from helpers import plotting
from helpers.explorables import data
from helpers.explorables.explorable import Explorable, Whole

SHAPES = {"linear": (10, 28, 28), "cnn": (8, 7, 7)}
NAMES = {"linear": "a linear classifier", "cnn": "a convolutional network"}
PRINTED = (0, 10, 60, 1000)


@functools.cache
def recorded(network):
    """Steps (list), losses, accuracies and limits (tensors), and weights (steps, images, height, width): float64."""
    block, weights = data.read(f"training_{network}"), np.prod(SHAPES[network])
    count = len(block) // (16 + weights // 2)
    steps, *curves = torch.tensor(np.frombuffer(block, "<f4", 4 * count).reshape(count, 4).T, dtype=torch.float64)
    pairs = np.frombuffer(block, np.uint8, offset=16 * count)
    levels = torch.tensor(np.stack([pairs >> 4, pairs & 15], axis=1).reshape(count, -1), dtype=torch.float64) - 8
    values = curves[2][:, None] * levels.sign() * (levels / 7) ** 2
    return [int(step) for step in steps], *curves, values.reshape(count, *SHAPES[network])


class Training(Explorable):
    """The weights of a network's first layer at each recorded step of its training, with loss and accuracy.

    Attributes
    ----------
    network : {"linear", "cnn"}
        The linear classifier of chapter 1, or a convolutional network whose first layer has eight filters of 7×7.
    step : int
        One of those that were recorded: 0, 1, 2, 3, 4, 6, 8, … 1000.
    same_scale : bool
        One scale of colours for all steps, or for each step its own.

    Raises
    ------
    traitlets.TraitError
        If a value is none of these; the figure stays as it was.
    """

    needs = ("training_linear", "training_cnn")
    network = traitlets.Enum(list(SHAPES), default_value="linear").tag(sync=True)
    step = Whole(0).tag(sync=True)
    same_scale = traitlets.Bool(False).tag(sync=True)
    caption = traitlets.Unicode(
        "Move through a recorded training: 1000 steps of 100 digits each. The images are the weights of the first layer; "
        "the curves are measured on 10,000 digits that the training never sees."
    ).tag(sync=True)

    @traitlets.validate("step")
    def _was_recorded(self, proposal):
        steps, *_ = recorded(self.network)
        if proposal.value not in steps:
            raise traitlets.TraitError(f"the steps {', '.join(map(str, steps))} were recorded, got {proposal.value}")
        return proposal.value

    def numbers(self):
        """``step``, ``loss``, ``accuracy``, and ``weights`` of all images."""
        steps, losses, accuracies, _, weights = recorded(self.network)
        place = steps.index(self.step)
        return {
            "step": self.step,
            "loss": losses[place].item(),
            "accuracy": accuracies[place].item(),
            "weights": weights[place].tolist(),
        }

    @property
    def alt(self):
        numbers, (images, height, width) = self.numbers(), SHAPES[self.network]
        return (
            f"The first layer of {NAMES[self.network]}, {images} images of {height} by {width} weights, "
            f"after {self.step} steps of training: {numbers['accuracy']:.1%} of the validation digits are read correctly, "
            f"the loss is {numbers['loss']:.2f}."
        )

    def fallback(self):
        steps, losses, accuracies, limits, weights = recorded(self.network)
        shown = sorted({*PRINTED, self.step})
        panels = []
        for place in map(steps.index, shown):
            limit = (limits.max() if self.same_scale else limits[place]).item()
            framed = torch.nn.functional.pad(weights[place], (1, 1, 1, 1))  # zero, which is mid-grey
            sheet = torch.cat([torch.cat(list(half), dim=1) for half in framed.chunk(2)])
            title = f"step {steps[place]}: loss {losses[place]:.2f}, {accuracies[place]:.1%} right"
            panels.append(plotting.panel(sheet, title=title, size=270, signed=True, limits=(-limit, limit)))
        return plotting.row(*panels, alt=self.alt, below="Dark blue is negative, yellow positive, grey zero.")
