"""Record two trainings for the figure ``training``: ``python benchmarks/record_training.py``, a minute.

It writes what the figure draws, the first layer's weights at some steps, into ``helpers/weights/training_linear.bin`` and
``training_cnn.bin`` (:func:`packed` says how), and into ``results/training.json``, beside what ``recording.py`` describes:

    method, train_images, validation_images, test_images, epochs, batch_size, momentum
    steps          at which the weights were recorded: dense at the start, where most happens
    networks       {"linear": ..., "cnn": ...}: what it is, and lr
    runs           one for each of the two:
        network, seed, seconds, cpu_seconds
        validation_loss, validation_errors, limits    one at each of the steps; limits: the largest weight, without its sign
        biases         of the linear classifier, ten at each of the steps, so that its answers can be computed again
        errors         on the test images, at the end
        sha256         of the file of weights

The linear classifier is the one that chapter 1 trains, with the same seed and settings.
"""

import hashlib
import json

import numpy as np
import recording
import torch
from torch import nn

from helpers import mnist, trained
from helpers.training import evaluate, fit, seed_everything

SEED = 0
STEPS = (0, 1, 2, 3, 4, 6, 8, 10, 14, 20, 28, 40, 60, 90, 130, 200, 300, 400, 500, 700, 1000)
SETTINGS = {
    "train_images": 50_000,
    "validation_images": 10_000,
    "test_images": 10_000,
    "epochs": 2,
    "batch_size": 100,
    "momentum": 0.9,
    "steps": STEPS,
}
NETWORKS = {
    "linear": {"what": "one linear layer: ten neurons with 28×28 weights each", "lr": 0.1},
    "cnn": {"what": "the lecture's network, with eight filters of 7×7 in the first layer: larger ones show more", "lr": 0.05},
}
METHOD = (
    "SGD with momentum and cross-entropy on the first 50,000 training images; loss and errors are those of the last 10,000. "
    "The seed decides the first weights and the order of the images. The test images choose nothing."
)
LARGEST_LEVEL = 7


class Enough(Exception):
    """The last of the steps has been recorded."""


def build(network):
    if network == "linear":
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    return nn.Sequential(
        nn.Conv2d(1, 8, kernel_size=7), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, kernel_size=5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(144, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def watch_training(network, seed, steps=STEPS):
    """Train until the last of the steps; returns the network, and of each step its evaluation, weights and biases."""
    images, labels = mnist.load("train")
    count, snapshots = SETTINGS["train_images"], []
    seed_everything(seed)
    made = build(network)
    layer = next(module for module in made if hasattr(module, "weight"))

    def watch(step, made):
        if step in steps:
            parts = (part.detach().clone() for part in (layer.weight, layer.bias))
            snapshots.append((evaluate(made, images[count:], labels[count:]), *parts))
        if step == steps[-1]:
            raise Enough

    watch(0, made)
    optimizer = torch.optim.SGD(made.parameters(), lr=NETWORKS[network]["lr"], momentum=SETTINGS["momentum"])
    settings = {name: SETTINGS[name] for name in ("epochs", "batch_size")}
    try:
        history = fit(made, images[:count], labels[:count], optimizer=optimizer, seed=seed, after_step=watch, **settings)
    except Enough:
        return made, snapshots
    if history.interrupted:
        raise KeyboardInterrupt
    raise ValueError(f"{len(history.losses)} steps were made, fewer than the last to record, {steps[-1]}")


def packed(steps, snapshots):
    """The bytes that the figure reads: four float32 for each step, and then half a byte for each weight.

    The four are the step, the validation loss, the share of right answers, and the largest weight without its sign, the
    limit. A weight is stored as level + 8, with a level from −7 to 7 that stands for limit · (level / 7)², with its sign:
    small weights, of which there are most, are kept more exactly. Of two weights the first has the higher four bits.
    """
    table, levels = [], []
    for step, (evaluation, weight, _) in zip(steps, snapshots, strict=True):
        limit = weight.abs().max()
        table.append([step, evaluation.loss, evaluation.accuracy, limit.item()])
        levels.append((weight.sign() * (LARGEST_LEVEL * (weight.abs() / limit).sqrt()).round()).flatten())
    halves = torch.stack(levels).reshape(-1, 2).to(torch.int8).numpy() + 8
    return np.array(table, "<f4").tobytes() + (16 * halves[:, 0] + halves[:, 1]).astype(np.uint8).tobytes()


def save(name, content, folder):
    """Store a file, and its checksum; returns the checksum."""
    checksums = folder / "checksums.json"
    known = json.loads(checksums.read_text(encoding="utf-8")) if checksums.exists() else {}
    known[name] = hashlib.sha256(content).hexdigest()
    recording.put(folder / name, content)
    recording.put(checksums, recording.as_json(known))
    return known[name]


def perform(network, seed):
    made, snapshots = watch_training(network, seed)
    evaluations, weights, biases = zip(*snapshots)
    return {
        "validation_loss": [round(evaluation.loss, 5) for evaluation in evaluations],
        "validation_errors": [evaluation.errors for evaluation in evaluations],
        "limits": [round(weight.abs().max().item(), 6) for weight in weights],
        **({"biases": [[round(value, 6) for value in bias.tolist()] for bias in biases]} if network == "linear" else {}),
        "errors": evaluate(made, *mnist.load("test")).errors,
        "sha256": save(f"training_{network}.bin", packed(STEPS, snapshots), trained.WEIGHTS),
    }


def settings_of(record, keys):
    return [record["networks"][keys["network"]], *(record[name] for name in SETTINGS)]


def main(path=recording.RESULTS / "training.json"):
    torch.set_num_threads(1)
    what = "how the weights of a linear classifier, and the first filters of a convolutional network, form in training"
    record = recording.about(what, "python benchmarks/record_training.py")
    record |= {"method": METHOD} | SETTINGS | {"networks": NETWORKS}
    plan = [{"network": name, "seed": SEED} for name in NETWORKS]
    recording.keep_going(path, record, plan, perform, settings_of)


if __name__ == "__main__":
    recording.run_until_interrupted(main)
