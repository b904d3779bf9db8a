"""Two small experiments, for submissions that attack the grader: quick to grade, and no secret in them."""

import torch
import torch.nn.functional as F

from helpers.grading.experiments import Check, Experiment, Result, Wrong, load

SECONDS = 10  # for a call; a busy machine is slow


def add(worker, draw):
    """The sum of two tensors."""
    for _ in range(2):
        a, b = torch.randn(2, 3, generator=draw), torch.randn(2, 3, generator=draw)
        answer = worker.call("add", a, b, seconds=SECONDS)
        if not isinstance(answer, torch.Tensor) or answer.shape != a.shape or not torch.allclose(answer.float(), a + b):
            raise Wrong("This is not the sum.")


def convolution(worker, draw):
    """The convolution of a batch."""
    images, weight = torch.randn(2, 3, 6, 7, generator=draw), torch.randn(4, 3, 3, 2, generator=draw)
    answer, expected = worker.call("my_conv2d", images, weight, seconds=SECONDS), F.conv2d(images, weight)
    if not isinstance(answer, torch.Tensor) or answer.shape != expected.shape:
        raise Wrong("This has not the shape of the convolution.")
    if not torch.allclose(answer.float(), expected, atol=1e-4):
        raise Wrong("This is not the convolution.")


def layers(worker, draw):
    """One convolution, one linear layer."""
    network = worker.build("CNN", seed=1, example=torch.zeros(2, 1, 8, 8))
    found = network.structure(torch.rand(2, 1, 8, 8, generator=draw))
    if [layer.kind for layer in found.layers] != ["conv", "linear"]:
        raise Wrong(f"The layers are {[layer.kind for layer in found.layers]}.")
    if [layer.active for layer in found.layers] == [False, False]:
        return Result(0.5, "There is no activation function.")
    return None if found.verified else Result(1.0, f"The layers could not be run again: {found.problem}.", hold=True)


def learns(worker, draw):
    """Learns four kinds of noisy pictures, whose numbers are dealt anew in every grading."""
    kinds, numbers = torch.rand(4, 1, 8, 8, generator=draw), torch.randperm(4, generator=draw)
    which = torch.randint(4, (400,), generator=draw)
    images, labels = kinds[which] + 0.1 * torch.randn(400, 1, 8, 8, generator=draw), numbers[which]
    network = worker.build("CNN", seed=1, example=torch.zeros(2, 1, 8, 8))
    training = network.train(images[:200], labels[:200], seconds=SECONDS)
    right = (network.predict(images[200:], seconds=SECONDS).argmax(1) == labels[200:]).float().mean().item()
    return Result(float(right > 0.9), f"{right:.0%} are right{', when it was stopped' if training.stopped else ''}.")


FUNCTIONS = Experiment(
    "functions", "Functions", "functions", 150, ("add", "my_conv2d"),
    [Check("add", 2, add, ("add",)), Check("my_conv2d", 3, convolution, ("my_conv2d",))],
    forbidden=load("conv2d").forbidden, forbidden_operators=load("conv2d").forbidden_operators,
)  # fmt: skip
NETWORK = Experiment(
    "network", "Network", "network", 150, ("CNN", "train"),
    [Check("layers", 2, layers, ("CNN",)), Check("learns", 3, learns, ("CNN", "train"))],
)  # fmt: skip
