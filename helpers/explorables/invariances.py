"""Move, turn, resize, stretch and shear a digit, and see how far a trained LeNet's answer stays right (chapter 6)."""

import torch
import traitlets

from helpers import plotting, trained
from helpers.explorables.explorable import Explorable, Whole
from helpers.explorables.lenet import digit_image, network
from helpers.transformations import affine

# Each slider: from, to, step, the value that changes nothing, and what it does with how much of what.
SLIDERS = {
    "right": (-14, 14, 1, 0, "moved right by {} pixels"),
    "down": (-14, 14, 1, 0, "moved down by {} pixels"),
    "rotate": (-180, 180, 5, 0, "rotated by {}°"),
    "scale": (0.2, 2, 0.05, 1, "scaled by {}"),
    "stretch": (0.2, 3, 0.1, 1, "stretched by {}"),
    "shear": (-70, 70, 5, 0, "sheared by {}°"),
}


def transformed(digit, right=0, down=0, **amounts):
    """A digit, transformed by :func:`affine`; amounts are numbers, or tensors (N,). float64, shape (N, 1, 28, 28)."""
    count = max(amount.numel() for amount in map(torch.as_tensor, (right, down, *amounts.values())))
    return affine(digit_image("digits", digit).expand(count, 1, 28, 28), translate=(right, down), **amounts)


def values_of(moving):
    """The values at which a slider stops: float64."""
    low, high, step, *_ = SLIDERS[moving]
    return low + step * torch.arange(round((high - low) / step) + 1, dtype=torch.float64)


def over_the_range(name, digit, moving, **amounts):
    """A network's answers at all stops of a slider; and the first and the last stop where they stay right, or None."""
    values, nothing = values_of(moving), SLIDERS[moving][3]
    with torch.no_grad():
        answers = network(name)(transformed(digit, **amounts | {moving: values})).argmax(1)
    wrong = (answers != digit).nonzero().flatten()
    start = (values - nothing).abs().argmin()
    first = max(wrong[wrong <= start].tolist(), default=-1) + 1
    last = min(wrong[wrong >= start].tolist(), default=len(values)) - 1
    return answers.tolist(), values[[first, last]].tolist() if first <= last else None


class Invariances(Explorable):
    """A digit of the test images, transformed, and the answers of the plain and of the augmented network.

    Attributes
    ----------
    digit : int
        A digit from the test images, 0 to 9.
    translate, rotate, scale, stretch, shear
        As in :func:`helpers.transformations.affine`: a pair (right, down) in pixels, degrees, two factors, degrees.
    moving : {"right", "down", "rotate", "scale", "stretch", "shear"}
        The transformation that the slider moves; for its whole range the strip shows the answers.
    network : {"both", "plain", "augmented"}
        The weights of ``helpers.trained``.

    Raises
    ------
    traitlets.TraitError
        If a value is none of these; the figure stays as it was.
    """

    needs = ("digits", "lenet_plain", "lenet_augmented")
    sources = ("network",)
    digit = Whole(6, min=0, max=9).tag(sync=True)
    translate = traitlets.Tuple(traitlets.Float(), traitlets.Float(), default_value=(0, 0)).tag(sync=True)
    rotate = traitlets.Float(0).tag(sync=True)
    scale = traitlets.Float(1).tag(sync=True)
    stretch = traitlets.Float(1).tag(sync=True)
    shear = traitlets.Float(0).tag(sync=True)
    moving = traitlets.Enum([*SLIDERS], default_value="right").tag(sync=True)
    network = traitlets.Enum(["both", *trained.NAMES], default_value="both").tag(sync=True)
    caption = traitlets.Unicode(
        "Drag the digit or the slider until the answer turns wrong. "
        "Below the slider each network's answers over its whole range: filled where they are right, hatched where they are wrong."
    ).tag(sync=True)

    @traitlets.validate("translate", "rotate", "scale", "stretch", "shear")
    def _on_the_slider(self, proposal):
        name, value = proposal.trait.name, proposal.value
        amounts = dict(zip(("right", "down"), value)) if name == "translate" else {name: value}
        for slider, amount in amounts.items():
            low, high = SLIDERS[slider][:2]
            if not low <= amount <= high:
                where = f" ({slider})" if name == "translate" else ""
                raise traitlets.TraitError(f"{name}{where} goes from {low} to {high}, got {amount}")
        return value

    def _amounts(self):
        return {"right": self.translate[0], "down": self.translate[1]} | {name: getattr(self, name) for name in [*SLIDERS][2:]}

    def _networks(self):
        return trained.NAMES if self.network == "both" else (self.network,)

    @property
    def later(self):
        """The weights of one network: of two, the plain one answers first."""
        return tuple(f"lenet_{name}" for name in trained.NAMES if name != self._networks()[0])

    def numbers(self):
        """``image``; and for each network: its probabilities, and its answers over the slider's range.

        NAME_range holds the first and the last value, going from the one that changes nothing, where the answer stays
        right; it is missing if the answer is wrong there already.
        """
        image = transformed(self.digit, **self._amounts())
        numbers = {"image": image[0, 0].tolist()}
        for name in self._networks():
            with torch.no_grad():
                numbers[f"{name}_probabilities"] = network(name)(image)[0].softmax(0).tolist()
            answers, limits = over_the_range(name, self.digit, self.moving, **self._amounts())
            numbers[f"{name}_answers"] = answers
            if limits:
                numbers[f"{name}_range"] = limits
        return numbers

    @property
    def alt(self):
        amounts, numbers = self._amounts(), self.numbers()
        done = [text.format(_text(amounts[name])) for name, (*_, nothing, text) in SLIDERS.items() if amounts[name] != nothing]
        answers = " and ".join(f"{_best(numbers[f'{name}_probabilities'])} by the {name} network" for name in self._networks())
        return f"A handwritten {self.digit}, {', '.join(done) or 'as it is'}, is read as {answers}."

    def fallback(self):
        numbers, values = self.numbers(), values_of(self.moving)
        pictures = [plotting.panel(torch.tensor(numbers["image"]), title="now", size=112, limits=(0, 1))]
        for place in torch.linspace(0, len(values) - 1, 7).round().long():
            answers = ", ".join(str(numbers[f"{name}_answers"][place]) for name in self._networks())
            image = transformed(self.digit, **self._amounts() | {self.moving: values[place]})
            pictures.append(plotting.panel(image[0], title=f"{_text(values[place].item())}: {answers}", size=76, limits=(0, 1)))
        names = " and ".join(self._networks())
        stays = "; ".join(
            f"{name}: "
            + ("correct from {} to {}".format(*map(_text, limits)) if limits else f"wrong already at {SLIDERS[self.moving][3]}")
            for name in self._networks()
            for limits in [numbers.get(f"{name}_range")]
        )
        doing = SLIDERS[self.moving][-1].format("…")
        return plotting.row(*pictures, alt=self.alt, below=f"The {self.digit} {doing}, and the answer ({names}). {stays}.")


def _best(probabilities):
    return probabilities.index(max(probabilities))


def _text(value):
    return f"{round(value, 2) + 0:g}".replace("-", "−")
