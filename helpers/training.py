"""Train and evaluate a classifier: the loop of chapter 1, with a progress bar, and a Ctrl-C that loses nothing."""

import math
import random
import signal
import threading
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from tqdm import tqdm  # not tqdm.auto: its bar for notebooks ignores TQDM_DISABLE


def seed_everything(seed):
    """Seed the random numbers of Python, NumPy and torch (on every device); ``seed`` is from 0 to 2**32 - 1."""
    np.random.seed(seed)
    random.seed(seed)
    torch.manual_seed(seed)


@dataclass(frozen=True, repr=False)
class Evaluation:
    """How well a network does on ``count`` labelled images: the mean loss, and how many answers are wrong."""

    loss: float
    errors: int
    count: int

    @property
    def accuracy(self):
        """Share of right answers, from 0 to 1."""
        return 1 - self.errors / self.count

    def __repr__(self):
        return (
            f"Evaluation(loss={self.loss:.4f}, accuracy={self.accuracy:.4f}, errors={self.errors}, count={self.count})"
        )


@dataclass(repr=False)
class History:
    """What happened in a run of :func:`fit`, and what :func:`fit` needs to go on with it.

    Attributes
    ----------
    losses : list of float
        The loss of every step (one mini-batch each), in order.
    evaluations : list of Evaluation
        On the validation set, one for every finished epoch; empty if there is no validation set.
    steps_per_epoch, batch_size, seed : int
    interrupted : bool
        Whether Ctrl-C stopped the run.
    data_checksum, weights_checksum, random_state
        By these :func:`fit` tells whether it is given the same run again, and goes on with the same random numbers.
    """

    steps_per_epoch: int
    batch_size: int
    seed: int
    losses: list = field(default_factory=list)
    evaluations: list = field(default_factory=list)
    interrupted: bool = False
    data_checksum: int = 0
    weights_checksum: int = 0
    random_state: list = field(default_factory=list)

    def __repr__(self):
        parts = [f"{len(self.losses)} steps", f"{self.steps_per_epoch} in an epoch"]
        if self.losses:
            parts.append(f"loss {self.losses[0]:.4f} to {self.losses[-1]:.4f}")
        if self.evaluations:
            parts.append(f"validation accuracy {self.evaluations[-1].accuracy:.4f}")
        if self.interrupted:
            parts.append("interrupted")
        return f"History({', '.join(parts)})"


def fit(
    network,
    images,
    labels,
    *,
    optimizer,
    criterion=F.cross_entropy,
    epochs=1,
    batch_size=100,
    validation=None,
    seed=0,
    history=None,
    augment=None,
    after_step=None,
):
    """Train a network to give every image its label, with the loop of chapter 1.

    Ctrl-C (in a notebook: the stop button) never cuts a step in half. The run stops after the step, and :func:`fit`
    returns; the same call with ``history=history`` goes on to the end that the run would have had without the
    interruption, number for number. A second Ctrl-C stops at once, in the usual way.

    Parameters
    ----------
    network : torch.nn.Module
        Takes images (N, ...), gives scores (N, classes). It is trained in place and left in training mode.
    images : torch.Tensor
        Shape (N, ...), floating point. Each mini-batch is moved to the device of the network's parameters.
    labels : torch.Tensor
        Shape (N,), int64.
    optimizer : torch.optim.Optimizer
        Built from the parameters of ``network``.
    criterion : callable
        ``criterion(scores, labels)`` is the mean loss of a mini-batch, a tensor with a single number.
    epochs : int
        Passes through all images; with ``history``, the total, those already made included.
    batch_size : int
        Images in a mini-batch; the last one of an epoch may be smaller.
    validation : (images, labels), optional
        Evaluated after every epoch.
    seed : int
        Decides the order of the images, new in every epoch, and the randomness of ``augment`` and of the network
        itself (dropout). Torch's random numbers outside of this function are neither used nor changed.
    history : History, optional
        Go on with this earlier run, of the same network and optimizer on the same data. It is added to in place.
    augment : callable, optional
        ``augment(images)`` changes the images of a mini-batch before the network sees them, as
        :func:`helpers.transformations.random_affine` does; the labels stay. Its random numbers must be torch's own for
        an interrupted run to go on exactly. Validation images are never changed.
    after_step : callable, optional
        ``after_step(step, network)`` is called after every step; ``step`` counts from 1.

    Returns
    -------
    History

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind, or ``history`` belongs to another run.
    RuntimeError
        If the loss is not a finite number. The weights are then those from before that step.
    """
    _check_network(network, criterion)
    _check_data(images, labels)
    _check_positive(epochs=epochs, batch_size=batch_size)
    if augment is not None and not callable(augment):
        raise TypeError(f"augment must be a function of a batch of images, got {type(augment).__name__}")
    if validation is not None:
        if not isinstance(validation, (tuple, list)) or len(validation) != 2:
            raise TypeError("validation must be a pair (images, labels)")
        _check_data(*validation, name="validation ")
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(f"optimizer must be a torch.optim.Optimizer, got {type(optimizer).__name__}")
    trained = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    if not any(id(parameter) in trained for parameter in network.parameters()):
        raise ValueError(
            "the optimizer holds no parameter of this network, so nothing would be learned: "
            "build it from network.parameters(), after the network was made"
        )
    steps_per_epoch = math.ceil(len(images) / batch_size)
    data_checksum = _checksum([images, labels, *(validation or ())])
    if history is None:
        history = History(steps_per_epoch, batch_size, seed, data_checksum=data_checksum)
    else:
        _check_same_run(history, batch_size, seed, data_checksum, _checksum(_state(network, optimizer)))
        if len(history.losses) > epochs * steps_per_epoch:
            raise ValueError(
                f"this history already holds {len(history.losses)} steps, more than epochs={epochs} of "
                f"{steps_per_epoch} steps each: epochs is the total number, give a larger one to train longer"
            )

    device = next(network.parameters()).device
    order_generator = torch.Generator().manual_seed(seed)
    progress = tqdm(total=epochs * steps_per_epoch, initial=len(history.losses), desc="fit", unit="step")
    network.train()
    with _ctrl_c_noted() as pressed, progress, _own_randomness(history, device):
        for epoch in range(epochs):
            # Drawn for finished epochs too: the next order depends on it. What is done already is then skipped.
            order = torch.randperm(len(images), generator=order_generator)
            for batch in order.split(batch_size)[max(0, len(history.losses) - epoch * steps_per_epoch) :]:
                if pressed:
                    break
                batch_images, batch_labels = images[batch].to(device), labels[batch].to(device)
                if augment is not None:
                    batch_images = _augmented(augment, batch_images)
                optimizer.zero_grad()
                scores = network(batch_images)
                loss = criterion(scores, batch_labels)
                if not loss.isfinite():
                    raise RuntimeError(
                        f"the loss of step {len(history.losses) + 1} is {loss.item()}: training has diverged. "
                        "Make the network and the optimizer anew, with a lower learning rate (lr)"
                    )
                loss.backward()
                optimizer.step()
                history.losses.append(loss.item())
                progress.set_postfix(loss=f"{history.losses[-1]:.4f}", refresh=False)
                progress.update()
                if after_step is not None:
                    after_step(len(history.losses), network)
            if pressed:
                break
            if validation is not None and len(history.evaluations) == epoch:
                history.evaluations.append(evaluate(network, *validation, criterion=criterion))
        history.interrupted = bool(pressed)
        history.weights_checksum = _checksum(_state(network, optimizer))
    if history.interrupted:
        print(
            f"Interrupted after step {len(history.losses)} of {epochs * steps_per_epoch}. "
            "To go on, call fit again with the same arguments and history=history."
        )
    return history


def evaluate(network, images, labels, *, criterion=F.cross_entropy, batch_size=1000):
    """Measure a network on labelled images, without changing it.

    It runs in evaluation mode and without gradients; afterwards every module is back in the mode it was in.

    Parameters
    ----------
    network, images, labels, criterion
        As for :func:`fit`.
    batch_size : int
        Images that go through the network at once; it changes the memory needed, not the answer.

    Returns
    -------
    Evaluation

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind.
    """
    _check_network(network, criterion)
    _check_data(images, labels)
    _check_positive(batch_size=batch_size)
    device = next((parameter.device for parameter in network.parameters()), images.device)
    modes = {module: module.training for module in network.modules()}
    total_loss, errors = 0.0, 0
    network.eval()
    try:
        with torch.no_grad():
            batches = torch.arange(len(images)).split(batch_size)
            for batch in tqdm(batches, desc="evaluate", unit="batch", leave=False, delay=2):
                batch_images, batch_labels = images[batch].to(device), labels[batch].to(device)
                scores = network(batch_images)
                total_loss += criterion(scores, batch_labels).item() * len(batch)
                errors += (scores.argmax(dim=1) != batch_labels).sum().item()
    finally:
        for module, training in modes.items():
            module.training = training
    return Evaluation(total_loss / len(images), errors, len(images))


def _augmented(augment, images):
    augmented = augment(images)
    if not isinstance(augmented, torch.Tensor) or len(augmented) != len(images):
        found = tuple(augmented.shape) if isinstance(augmented, torch.Tensor) else type(augmented).__name__
        raise TypeError(
            f"augment must return a tensor with an image for each of the {len(images)} it is given, got {found}"
        )
    return augmented


@contextmanager
def _ctrl_c_noted():
    # Yields a list that Ctrl-C puts something into. The first press hands the signal back to whoever had it before.
    pressed = []
    usual = signal.getsignal(signal.SIGINT)
    # Python allows handlers in the main thread only. Where the usual handler is no Python function, somebody chose that
    # Ctrl-C is ignored, or ends the process: that stays.
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield pressed
        return

    def note(number, frame):
        pressed.append(number)
        signal.signal(signal.SIGINT, usual)

    signal.signal(signal.SIGINT, note)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, usual)


@contextmanager
def _own_randomness(history, device):
    # Inside, torch's random numbers are those of the run: they start from its seed, or go on where it stopped.
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        if history.random_state:
            torch.set_rng_state(history.random_state[0])
            for state in history.random_state[1:]:
                torch.cuda.set_rng_state(state, device)
        else:
            torch.manual_seed(history.seed)
        yield
        history.random_state = [torch.get_rng_state(), *(torch.cuda.get_rng_state(each) for each in cuda)]


def _state(network, optimizer):
    # Everything a step changes: the weights, and what the optimizer remembers (momentum).
    yield from network.parameters()
    for memory in optimizer.state.values():
        yield from (value for value in memory.values() if isinstance(value, torch.Tensor))


def _checksum(tensors):
    checksum = 0
    for tensor in tensors:
        content = tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
        checksum = zlib.crc32(content, checksum)
    return checksum


def _check_same_run(history, batch_size, seed, data_checksum, weights_checksum):
    if not isinstance(history, History):
        raise TypeError(f"history must be the History that fit returned, got {type(history).__name__}")
    remedy = "give what the earlier call was given, or leave history out to begin a new run"
    for name, value in {"batch_size": batch_size, "seed": seed}.items():
        if value != getattr(history, name):
            raise ValueError(
                f"this history was made with {name}={getattr(history, name)}, not {name}={value}: {remedy}"
            )
    if history.data_checksum != data_checksum:
        raise ValueError(f"this history was made with other images, labels or validation data: {remedy}")
    if history.weights_checksum != weights_checksum:
        raise ValueError(
            "this history ended with other weights: the network or the optimizer is not the one it was made with, "
            f"or was changed since; {remedy}"
        )


def _check_network(network, criterion):
    if not isinstance(network, torch.nn.Module):
        raise TypeError(f"network must be a torch.nn.Module, got {type(network).__name__}")
    if isinstance(criterion, type):
        raise TypeError(f"criterion is the class {criterion.__name__}: make an object of it, {criterion.__name__}()")


def _check_positive(**settings):
    for name, value in settings.items():
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{name} must be an integer, got {value!r}")
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")


def _check_data(images, labels, name=""):
    for kind, value in {"images": images, "labels": labels}.items():
        if not isinstance(value, torch.Tensor):
            raise TypeError(f"{name}{kind} must be a torch.Tensor, got {type(value).__name__}")
    if not images.is_floating_point():
        raise TypeError(
            f"{name}images must be floating point, got {images.dtype}: convert them, as in images.float() / 255"
        )
    if labels.dtype != torch.int64:
        raise TypeError(
            f"{name}labels must be class numbers of dtype torch.int64, got {labels.dtype}: use labels.long()"
        )
    if labels.ndim != 1 or images.ndim < 2 or len(images) != len(labels):
        raise ValueError(
            f"expected {name}images of shape (N, ...) and labels of shape (N,) with the same N, "
            f"got {tuple(images.shape)} and {tuple(labels.shape)}"
        )
    if len(images) == 0:
        raise ValueError(f"there are no {name}images: their shape is {tuple(images.shape)}")
