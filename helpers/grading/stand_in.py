"""MNIST as the learner's code finds it while it is graded: the training images, and others of them in the test's place.

The judge's test images are not in reach of that code, so a cell that loads the test set gets the last 10,000 training
images. Which splits were asked for is written down.
"""

import gzip
from pathlib import Path

import numpy as np
import torch

loaded = []


def install():
    """Put the stand-in in the place of ``helpers.mnist.load`` and ``helpers.mnist.MNIST``."""
    from helpers import mnist

    folder = Path(mnist.PACKAGE_FOLDER)

    def arrays(split):
        loaded.append(split)
        with gzip.open(folder / "train-images-idx3-ubyte.gz") as file:
            images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28).copy()
        with gzip.open(folder / "train-labels-idx1-ubyte.gz") as file:
            labels = np.frombuffer(file.read(), np.uint8, offset=8).astype(np.int64)
        rows = slice(None) if split == "train" else slice(-10_000, None)
        return torch.from_numpy(images[rows]), torch.from_numpy(labels[rows])

    def load(split, root=None):
        if split not in ("train", "test"):
            raise ValueError(f'unknown split {split!r}: MNIST has the splits "train" and "test"')
        images, labels = arrays(split)
        return images.unsqueeze(1).to(torch.float32) / 255, labels

    def __init__(self, root=None, train=True, transform=None, target_transform=None):
        super(mnist.datasets.MNIST, self).__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        self.data, self.targets = arrays("train" if train else "test")

    mnist.load = load
    mnist.MNIST.__init__ = __init__
