"""Experiment 1, a CNN for MNIST: its structure, its training loop, and its errors on images that it cannot have seen."""

import functools
import math

import torch
import torch.nn.functional as F

from helpers import mnist
from helpers.grading.experiments import Check, Experiment, Raised, Result, Wrong
from helpers.transformations import affine

IN_A_LIST = (
    " nn.Module does not look into Python lists: use nn.Sequential or nn.ModuleList. A layer that is used twice counts once."
)
FEW = 100
KNOWN = 0.5  # of the digits told apart before training: of 84 networks with random weights, none told more than 0.32
digits = functools.cache(mnist.load)


def structure(worker, draw):
    """Exactly three convolutional and two linear layers, in this order, in any spelling."""
    found = _structure(worker)
    kinds = [layer.kind for layer in found.layers]
    convolutions, linear = kinds.count("conv"), kinds.count("linear")
    if (convolutions, linear) != (3, 2):
        raise Wrong(f"The network has {convolutions} convolutional and {linear} linear layers, expected 3 and 2.",
                    "Counted are the layers that an image passes through in forward."
                    + (IN_A_LIST if convolutions < 3 or linear < 2 else ""))  # fmt: skip
    if kinds != ["conv"] * 3 + ["linear"] * 2:
        raise Wrong(f"The layers come in the order {', '.join(kinds)}.", "First the three convolutions, then the two linear layers.")
    return _seen(found)


def activations(worker, draw):
    """An activation function between each layer and the next, and none after the last."""
    found = _structure(worker)
    for number, layer in enumerate(found.layers, 1):
        if layer.active is False and not layer.last:
            following = found.layers[number].kind
            raise Wrong(f"There is no activation function between layer {number} ({layer.kind}) and layer {number + 1} ({following}).",
                        "Two layers without one between could be replaced by a single one: add a ReLU, and use its result: x = F.relu(x).")  # fmt: skip
    if any(layer.active and layer.last for layer in found.layers):
        raise Wrong("There is an activation function after the last layer.", "Logits may be any number: leave them as they are.")
    return _seen(found)


def shapes(worker, draw):
    """Images (batch, 1, 28, 28) give logits (batch, 10), whatever the batch."""
    network = _build(worker)
    for size in (7, 1):
        output = _explained(lambda size=size: network.forward(torch.rand(size, 1, 28, 28, generator=draw), mode="eval")).output
        found = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        if found != (size, 10):
            raise Wrong(f"{size} images give an output of shape {found}, expected {(size, 10)}.",
                        "One row for each image: flatten with start_dim=1, and no squeeze().")  # fmt: skip


def logits(worker, draw):
    """Logits and not probabilities."""
    images = digits("train")[0][torch.randint(60_000, (50,), generator=draw)]
    output = _explained(lambda: _build(worker).predict(images))
    if (output >= 0).all() and torch.allclose(output.sum(1), torch.ones(len(output)), atol=1e-4):
        raise Wrong("The network gives probabilities: there is a softmax at its end.",
                    "F.cross_entropy does the softmax itself. After two of them the loss cannot get below 1.46.")  # fmt: skip


def learns(worker, draw, seconds=20):
    """Learns 100 images by heart."""
    images, labels = _few(draw)
    network = _build(worker)
    before = _loss(network, images, labels)
    training = _train(network, images, labels, seconds)
    scores = network.predict(images)
    after, right = F.cross_entropy(scores, labels).item(), (scores.argmax(1) == labels).float().mean().item()
    steps = len(training.steps)
    if not math.isfinite(after):
        raise Wrong(f"The training diverges: the loss went from {before:.2f} to {after}.", "Lower the learning rate.")
    if any(step.stale for step in training.steps):
        return Result(0.5, f"{right:.0%} of 100 images learned, with gradients that pile up from step to step: this counts half.",
                      "Call optimizer.zero_grad() in every step, before loss.backward().")  # fmt: skip
    if after >= 0.98 * before:
        raise Wrong(f"The loss does not fall: {before:.2f} before the training, {after:.2f} after {steps} steps.",
                    "Does every step call loss.backward() and optimizer.step(), and was the optimizer made from the "
                    "parameters of this model? Do labels and images of a mini-batch belong together, and are they those that "
                    "train was given?")  # fmt: skip
    if after > 1.4 and right > 0.3:
        raise Wrong(f"The loss stays at {after:.2f}, though {right:.0%} of the 100 images are right.",
                    "Below 1.46 it cannot get with a softmax at the end of the network: F.cross_entropy does that itself.")  # fmt: skip
    if right < 0.98:
        few = "It made few steps: count steps, not epochs, and make at least 300." if steps < 150 else (
            "Do images and labels of a mini-batch belong together? Are the gradients fresh? Is the learning rate right?"
        )  # fmt: skip
        fraction = max(0, (right - 0.5) / 0.48) * 0.6
        return Result(fraction, f"Of 100 images {right:.0%} were learned by heart in {steps} steps (loss {before:.2f} to {after:.2f}).", few)
    return None


def fresh_gradients(worker, draw):
    """Gradients are set to zero in every step."""
    training = _short_training(worker, draw)
    if sum(step.stale for step in training.steps) > 0:
        raise Wrong("Gradients of earlier steps are added to the new ones.",
                    "Call optimizer.zero_grad() in every step, before loss.backward().")  # fmt: skip


def training_mode(worker, draw):
    """The network is in training mode while it is trained, even after an evaluation."""
    network = _build(worker)
    images, labels = _few(draw)
    try:
        worker.call("accuracy", network, images, labels)
    except Wrong:
        pass  # another check's matter
    training = _short_training(worker, draw, network)
    if not all(step.training for step in training.steps):
        raise Wrong("The network is trained in evaluation mode.",
                    "Call model.train() at the beginning of train, and after every evaluation in it: accuracy changes the mode.")  # fmt: skip


def accuracy(worker, draw):
    """The function that counts right answers."""
    network = _build(worker)
    images = digits("train")[0][torch.randperm(60_000, generator=draw)[:1234]]
    guesses = _explained(lambda: network.predict(images)).argmax(1)
    for share in (0.25, 0.8):
        labels = torch.where(torch.rand(len(images), generator=draw) < share, guesses, (guesses + 1) % 10)
        expected = (labels == guesses).double().mean().item()
        found = worker.call("accuracy", network, images, labels, seconds=20)
        if isinstance(found, torch.Tensor) and found.numel() == 1:
            raise Wrong("accuracy returns a tensor.", "Call .item(), to get a plain number.")
        if isinstance(found, bool) or not isinstance(found, (int, float)):
            raise Wrong(f"accuracy returns {getattr(found, 'kind', type(found).__name__)}, expected a number from 0 to 1.")
        if abs(found - 100 * expected) < 0.1:
            raise Wrong("accuracy returns percent.", "Return a share from 0 to 1.")
        if abs(found - (1 - expected)) < 1e-3:
            raise Wrong("accuracy returns the share of wrong answers.", "Count guesses == labels.")
        if abs(found - expected) > 2e-3:
            raise Wrong(f"accuracy says {found:.4f} where {expected:.4f} of the answers are right.",
                        "Divide the right answers of all batches by the number of images, after the loop; the last batch may be smaller.")  # fmt: skip


def evaluation_mode(worker, draw):
    """The network is put into evaluation mode."""
    network = _build(worker)
    images, labels = _few(draw)
    _explained(lambda: worker.call("accuracy", network, images, labels, seconds=20))
    if network.training_mode():
        raise Wrong("The network is evaluated in training mode.",
                    "Call model.eval() at the beginning of accuracy (dropout and batch normalisation depend on it), and leave it so.")  # fmt: skip


def own_images(worker, draw):
    """The training uses the images that it is given, and no test images."""
    worker.has("train")
    training = _short_training(worker, draw)
    # What train uses is loaded when the notebook is, or while it runs.
    if "test" in [*worker.loaded, *training.loaded]:
        raise Wrong("The training uses the test images.",
                    "A network that has seen the test images cannot be tested with them: train with what train is given.")  # fmt: skip


def trained(images, seconds, full_marks, no_marks):
    """Make the check that trains for so many seconds and counts errors on moved and turned test images.

    The labels are dealt anew, the same for both: weights that were brought along know the digits by other numbers.
    """

    def check(worker, draw):
        chosen = slice(None) if images is None else torch.randperm(60_000, generator=draw)[:images]
        train_images, train_labels = (each[chosen] for each in digits("train"))
        test_images, test_labels = _unseen(draw)
        numbers = torch.randperm(10, generator=draw)
        train_labels, test_labels = numbers[train_labels], numbers[test_labels]
        network = _build(worker)
        known, layers = _known(network, test_images[:1000], test_labels[:1000]), _kinds(network)
        training = _train(network, train_images, train_labels, seconds)
        right = (network.predict(test_images).argmax(1) == test_labels).double().mean().item()
        fraction = min(1.0, max(0.0, (right - no_marks) / (full_marks - no_marks)))
        if known > KNOWN or _kinds(network) != layers:
            before = f"it tells {known:.0%} of the digits apart before it was trained"
            flag = before if known > KNOWN else "after its training it has other layers than before"
            return Result(fraction, f"{right:.2%} of new images are right, but {flag}.", hold=True, flags=(flag,))
        message = f"{right:.2%} of {len(test_labels):,} new images are right, after {training.seconds:.0f} s of training."
        if fraction == 1:
            return Result(1.0, message)
        hint = "These images are moved, turned and noisy: train on moved images, and let the learning rate fall towards the end."
        if training.stopped:
            hint = f"The training was stopped, since it took longer than the {seconds} seconds it was given: look at the clock."
        elif right < 0.5:
            hint = "Something in the training is wrong: look at the other checks first."
        elif training.seconds < seconds / 3:
            hint = f"It had {seconds} seconds: train for more epochs, and let the learning rate fall towards the end."
        return Result(fraction, message + f" All points from {full_marks:.1%}.", hint)

    return check


def _unseen(draw):
    # The test images, each moved by up to a pixel, turned by up to three degrees, and with a little noise.
    images, labels = digits("test")
    between = lambda size: (2 * torch.rand(len(images), generator=draw) - 1) * size
    moved = affine(images, translate=(between(1), between(1)), rotate=between(3))
    return (moved + 0.02 * torch.randn(moved.shape, generator=draw)).clamp(0, 1), labels


def _known(network, images, labels):
    # How many images would be right if each answer stood for the digit that it is given to most often.
    scores = _explained(lambda: network.predict(images))
    guesses = scores.flatten(1).argmax(1)
    return sum(labels[guesses == guess].bincount().max().item() for guess in guesses.unique()) / len(labels)


def _kinds(network):
    try:
        return [layer.kind for layer in network.structure(torch.rand(2, 1, 28, 28)).layers]
    except Wrong:  # the matter of the check of the layers
        return None


def _few(draw):
    images, labels = digits("train")
    chosen = torch.randperm(len(images), generator=draw)[:FEW]
    return images[chosen], torch.randperm(10, generator=draw)[labels[chosen]]


def _build(worker):
    return _explained(lambda: worker.build("CNN", seed=1, example=torch.zeros(2, 1, 28, 28), seconds=20))


def _structure(worker):
    network = _build(worker)
    return _explained(lambda: network.structure(torch.rand(2, 1, 28, 28)))


def _seen(found):
    # The worker's word alone: a person has to look before it counts.
    if found.verified and all(layer.active is not None for layer in found.layers):
        return None
    problem = found.problem or "with other numbers, it stops"
    why = f"What the network showed of its layers could not be run again: {problem}."
    return Result(1.0, why, hold=True, flags=(why,))


def _loss(network, images, labels):
    scores = _explained(lambda: network.predict(images))
    if scores.shape[1:] != (10,):
        raise Wrong(f"The network gives scores of shape {tuple(scores.shape)}, expected ({len(images)}, 10).")
    return F.cross_entropy(scores, labels).item()


def _short_training(worker, draw, network=None):
    network = network or _build(worker)
    images, labels = _few(draw)
    training = _train(network, images, labels, 1.5)
    if not training.steps:
        raise Wrong("No gradient is ever computed for the network.", "Every step has to call loss.backward().")
    return training


def _train(network, images, labels, seconds):
    limit = 1.25 * seconds + 3  # for the last step, and a busy machine
    try:
        return _explained(lambda: network.train(images, labels, seconds, seconds=limit))
    except Raised as error:
        if error.kind == "TypeError" and "positional" in error.text:
            raise Wrong("train does not take the arguments (model, images, labels, seconds).",
                        "Keep the first line of train as it was.") from None  # fmt: skip
        if "empty parameter list" in error.text:
            raise Wrong("The network owns no parameters, so there is nothing to train.", IN_A_LIST.strip()) from None
        raise


def _explained(call):
    try:
        return call()
    except Raised as error:
        if "cannot be multiplied" in error.text:
            raise Wrong(f"A linear layer does not fit the flattened maps: {error.text}.",
                        "The first pair is what arrives, (batch, numbers), the second what the layer was made for. "
                        "Count again: channels · rows · columns of the last map.") from None  # fmt: skip
        if "Kernel size can't be greater" in error.text or "Output size is too small" in error.text:
            raise Wrong(f"The maps get too small: {error.text}.", "Pool less often, or add padding.") from None
        raise


def experiment(images=None, seconds=75, full_marks=0.985, no_marks=0.9, patience=1):
    """Make the experiment.

    Parameters
    ----------
    images : int, optional
        How many training images the judge hands out, by default all.
    seconds : float
        How long the training may take.
    full_marks, no_marks : float
        The shares of right answers that give all the points for them, and none.
    patience : float
        All times that many times as long, for a machine that is busy with other things.
    """
    return Experiment(
        name="mnist_cnn",
        title="Experiment 1: a CNN for MNIST",
        stem="01_mnist_cnn",
        seconds=170 * patience,
        names=("CNN", "accuracy", "train"),
        checks=[
            Check("Three convolutional and two linear layers", 15, structure, ("CNN",)),
            Check("Activation functions", 5, activations, ("CNN",)),
            Check("Shapes", 5, shapes, ("CNN",)),
            Check("Logits", 5, logits, ("CNN",)),
            Check("Accuracy, counted", 10, accuracy, ("CNN", "accuracy")),
            Check("Evaluation mode", 5, evaluation_mode, ("CNN", "accuracy")),
            Check("Learns 100 images by heart", 15, functools.partial(learns, seconds=20 * patience), ("CNN", "train")),
            Check("Fresh gradients in every step", 5, fresh_gradients, ("CNN", "train")),
            Check("Training mode", 5, training_mode, ("CNN", "train")),
            Check("No test images in training", 5, own_images, ("CNN", "train")),
            Check("Right on new images", 25, trained(images, seconds * patience, full_marks, no_marks), ("CNN", "train")),
        ],
        forbidden=("torchvision.models", "torch.hub", "helpers.lenet", "helpers.architecture", "helpers.trained", "helpers.training.fit", "helpers.training.evaluate"),
    )  # fmt: skip


EXPERIMENT = experiment()
