"""How the networks of ``ladder.py``, ``augmentation.py`` and ``train_lenet.py`` are trained, and counted: one way."""

import math

import torch

from helpers.training import fit


def train(network, images, labels, *, epochs, lr, batch_size, seed, augment=None):
    """Train with Adam and a learning rate that rises to ``lr`` and falls to nothing (one cycle, L. Smith 2018).

    Raises KeyboardInterrupt if Ctrl-C stopped the training.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=lr)
    steps = epochs * math.ceil(len(images) / batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps + 1)
    history = fit(
        network,
        images,
        labels,
        optimizer=optimizer,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        augment=augment,
        after_step=lambda step, trained: schedule.step(),
    )
    if history.interrupted:
        raise KeyboardInterrupt


def probabilities(network, images, batch_size=1000):
    """The network's softmax for every image: (N, 10)."""
    network.eval()
    with torch.no_grad():
        return torch.cat([network(batch).softmax(dim=1) for batch in images.split(batch_size)])


def mistakes(scores, labels):
    """``errors``, and which: ``wrong`` the places in the test set, ``guesses`` what the network took them for."""
    guesses = scores.argmax(dim=1)
    wrong = (guesses != labels).nonzero().flatten()
    return {"errors": len(wrong), "wrong": wrong.tolist(), "guesses": guesses[wrong].tolist()}
