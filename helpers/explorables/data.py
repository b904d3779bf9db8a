"""What the figures need and is too large to stand in each page: blocks of bytes, each with a name.

A figure names those it needs (``needs``). A page loads each as a script, a notebook sends it with the widget; in both,
``model.get("data")[name]`` is a DataView of the bytes. Numbers of more than one byte are little-endian; nothing but the
numbers is stored, so their shapes are written here.
"""

import functools
import hashlib
import json

import matplotlib.cbook
import numpy as np
import torch
from PIL import Image

from helpers import mnist, trained


def digits():
    """One handwritten digit of each kind, the first of the test images: uint8, shape (10, 28, 28), 255 is ink."""
    images, labels = mnist.load("test")
    first = [int((labels == digit).nonzero()[0]) for digit in range(10)]
    return (images[first, 0] * 255).round().to(torch.uint8).numpy().tobytes()


# Of each kind one test image that the plain network of helpers.trained takes for another digit.
MISREAD = (6651, 1527, 8094, 449, 115, 5937, 2118, 3767, 947, 1901)


def misread():
    """Ten digits as in :func:`digits`, but those of MISREAD."""
    images, _ = mnist.load("test")
    return (images[list(MISREAD), 0] * 255).round().to(torch.uint8).numpy().tobytes()


def photograph():
    """The face that chapter 2 filters, smaller: uint8, shape (48, 48), 255 is white."""
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        face = Image.open(file).convert("L").crop((120, 40, 420, 340))
    return face.resize((48, 48)).tobytes()


def _lenet(name):
    """The weights of a trained LeNet (``helpers.trained``): float16, 61,706 numbers, tensor after tensor.

    ====================  ==============  ====================  ==========
    layers.conv1.weight   (6, 1, 5, 5)    layers.conv1.bias     (6,)
    layers.conv2.weight   (16, 6, 5, 5)   layers.conv2.bias     (16,)
    layers.fc1.weight     (120, 400)      layers.fc1.bias       (120,)
    layers.fc2.weight     (84, 120)       layers.fc2.bias       (84,)
    layers.fc3.weight     (10, 84)        layers.fc3.bias       (10,)
    ====================  ==============  ====================  ==========

    The order is from left to right, then down. The trained values are exact in float16, so nothing is lost.
    """
    weights = trained.load(name).state_dict().values()
    return torch.cat([weight.flatten() for weight in weights]).numpy().astype(np.dtype("<f2")).tobytes()


def _training(network):
    """How the first layer's weights of a network form: one float32 row for each recorded step, then the levels of its weights.

    A row holds the step, the validation loss, the share of right answers, and the limit, the largest weight without its
    sign. ``linear`` has 10×28×28 weights a step, ``cnn`` 8×7×7. Each takes half a byte, the higher half first: 8 + level,
    where the level from −7 to 7 stands for limit · (level / 7)², with its sign. ``benchmarks/record_training.py`` wrote it.
    """
    content = (trained.WEIGHTS / f"training_{network}.bin").read_bytes()
    checksums = json.loads((trained.WEIGHTS / "checksums.json").read_text(encoding="utf-8"))
    if hashlib.sha256(content).hexdigest() != checksums[f"training_{network}.bin"]:
        raise RuntimeError(f"helpers/weights/training_{network}.bin is damaged: git checkout helpers/weights")
    return content


# In the order in which a page loads them.
FILES = {
    "digits": digits,
    "photograph": photograph,
    "misread": misread,
    "lenet_plain": functools.partial(_lenet, "plain"),
    "lenet_augmented": functools.partial(_lenet, "augmented"),
    "training_cnn": functools.partial(_training, "cnn"),
    "training_linear": functools.partial(_training, "linear"),
}


@functools.cache
def read(name):
    """The bytes of the block ``name``. Raises ValueError if there is none of that name."""
    if name not in FILES:
        raise ValueError(f"there is no data {name!r} for the figures: there are {', '.join(FILES)}")
    return FILES[name]()
