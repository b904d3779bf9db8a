"""Max pooling, average pooling and strides compared on MNIST, each at the learning rate that suits it best.

``python benchmarks/pooling.py`` takes a quarter of an hour of one core. Each finished run is recorded; after Ctrl-C the
same command does the rest. It writes ``results/pooling.json``, beside what ``recording.py`` describes:

    method          how a network is trained, and its learning rate chosen
    train_images, validation_images, test_images, epochs, batch_size, momentum, learning_rates
    runs            list of one for each network and pooling:
        network           "tiles of 2" … "tiles of 24" (one convolution, pooling, linear), or "two layers"
        pooling           "max", "average", "stride" (every second place is computed) or "none"
        parameters
        validation_errors one for each of learning_rates, and for higher ones that were tried; null where training diverged
        lr                the learning rate with the fewest of them, used for all seeds
        seeds, errors     of the 10,000 test images, one for each seed
        shifted_errors    {"1": [...], ...}: the same on test images moved to the right by so many pixels
        seconds, cpu_seconds
"""

import recording
import torch
from torch import nn

from helpers import mnist
from helpers.sizes import parameter_count
from helpers.training import evaluate, fit, seed_everything

SEEDS = [0, 1, 2, 3, 4]
SEARCH_SEED = 100
SETTINGS = {
    "train_images": 10_000,
    "validation_images": 5_000,
    "test_images": 10_000,
    "epochs": 5,
    "batch_size": 100,
    "momentum": 0.9,
    "learning_rates": [0.02, 0.05, 0.15, 0.5],
}
METHOD = (
    "SGD with momentum and cross-entropy on the first 10,000 training images. For each network and pooling, one training with "
    "another seed at each learning rate; the rate with the fewest errors on the next 5,000 training images is taken for all seeds. If that is the "
    "highest one, three times as much is tried, too, until it is not. The test images choose nothing."
)
POOLINGS = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}
TILES = (2, 4, 8, 24)
SHIFTS = (1, 2, 3, 4)
PLAN = [
    *({"network": f"tiles of {tile}", "pooling": pooling} for tile in TILES for pooling in POOLINGS),
    *({"network": "two layers", "pooling": pooling} for pooling in ("max", "average", "stride", "none")),
]


def build(network, pooling):
    """The network of a run, from images of shape (batch, 1, 28, 28) to ten logits."""
    if network != "two layers":
        tile = int(network.rpartition(" ")[2])
        layers = [nn.Conv2d(1, 16, 5), nn.ReLU(), POOLINGS[pooling](tile)]
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * (24 // tile) ** 2, 10))
    layers = []
    for in_channels, out_channels in ((1, 8), (8, 16)):
        layers += [nn.Conv2d(in_channels, out_channels, 5, stride=2 if pooling == "stride" else 1), nn.ReLU()]
        layers += [POOLINGS[pooling](2)] if pooling in POOLINGS else []
    side = 20 if pooling == "none" else 4
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * side**2, 10))


def train(network, pooling, lr, seed, images, labels):
    seed_everything(seed)
    made = build(network, pooling)
    optimizer = torch.optim.SGD(made.parameters(), lr=lr, momentum=SETTINGS["momentum"])
    fit(made, images, labels, optimizer=optimizer, epochs=SETTINGS["epochs"], batch_size=SETTINGS["batch_size"], seed=seed)
    return made


def perform(network, pooling):
    """Choose a learning rate, then train and measure with every seed."""
    all_images, all_labels = mnist.load("train")
    count, held_back = SETTINGS["train_images"], SETTINGS["validation_images"]
    images, labels = all_images[:count], all_labels[:count]
    validation = all_images[count : count + held_back], all_labels[count : count + held_back]
    test_images, test_labels = mnist.load("test")

    rates, tried = list(SETTINGS["learning_rates"]), {}
    for lr in rates:
        try:
            tried[lr] = evaluate(train(network, pooling, lr, SEARCH_SEED, images, labels), *validation).errors
        except RuntimeError:  # the loss was no number any more
            tried[lr] = None
        best = min(tried, key=lambda rate: len(labels) if tried[rate] is None else tried[rate])
        if best == lr == rates[-1]:
            rates.append(3 * lr)
    lr = best

    errors, shifted = [], {str(shift): [] for shift in SHIFTS}
    for seed in SEEDS:
        trained = train(network, pooling, lr, seed, images, labels)
        errors.append(evaluate(trained, test_images, test_labels).errors)
        for shift in SHIFTS:
            moved = nn.functional.pad(test_images, (shift, -shift))
            shifted[str(shift)].append(evaluate(trained, moved, test_labels).errors)
    return {
        "parameters": parameter_count(trained),
        "validation_errors": list(tried.values()),
        "lr": lr,
        "seeds": SEEDS,
        "errors": errors,
        "shifted_errors": shifted,
    }


def settings_of(record, keys):
    return [record.get(name) for name in SETTINGS]


def main(path=recording.RESULTS / "pooling.json"):
    torch.set_num_threads(1)
    what = "errors on MNIST's test images of small networks with max pooling, average pooling, strides and no pooling"
    record = recording.about(what, "python benchmarks/pooling.py") | {"method": METHOD} | SETTINGS
    recording.keep_going(path, record, PLAN, perform, settings_of)


if __name__ == "__main__":
    recording.run_until_interrupted(main)
