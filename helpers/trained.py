"""LeNet, trained: two sets of weights that come with the course, so that page and notebook show the same network."""

import hashlib
import json
from pathlib import Path

import numpy as np
import torch

from helpers.lenet import LeNet

WEIGHTS = Path(__file__).parent / "weights"
NAMES = ("plain", "augmented")


def load(name):
    """The trained network, in evaluation mode, on the CPU.

    ``benchmarks/train_lenet.py`` trained it on MNIST's 60,000 training images and counted its errors on the 10,000 test
    images, see ``results/lenet.json``. The weights are float32 tensors whose values are exact in float16.

    Parameters
    ----------
    name : {"plain", "augmented"}
        Trained with the images as they are, or with every image moved, rotated, scaled, stretched and sheared at
        random.

    Returns
    -------
    helpers.lenet.LeNet

    Raises
    ------
    ValueError
        If there is no network of that name.
    RuntimeError
        If the file of weights is missing or damaged.
    """
    if name not in NAMES:
        raise ValueError(f'unknown network {name!r}: there are "plain" and "augmented"')
    path = WEIGHTS / f"lenet_{name}.npz"
    remedy = "install the course's helpers package again (or: git checkout helpers/weights)"
    if not path.exists():
        raise RuntimeError(f"the file of weights {path} is missing: {remedy}")
    checksums = json.loads((WEIGHTS / "checksums.json").read_text(encoding="utf-8"))
    if hashlib.sha256(path.read_bytes()).hexdigest() != checksums[path.name]:
        raise RuntimeError(f"the file of weights {path} is damaged (its checksum is wrong): {remedy}")
    network = LeNet()
    with np.load(path) as weights:
        network.load_state_dict({key: torch.from_numpy(weights[key]) for key in weights})
    return network.eval()
