"""One large filter against a stack of small ones that sees just as far, on MNIST.

``python benchmarks/filter_stacks.py`` takes about seven minutes of one core. Each finished run is recorded; after Ctrl-C
the same command does the rest. It writes ``results/filter_stacks.json``, beside what ``recording.py`` describes:

    method          the network around the part that is compared, how it is trained, how its learning rate is chosen
    train_images, validation_images, test_images, channels, epochs, batch_size, learning_rates
    runs            list of one for each part:
        part              what is compared, such as "three 3×3"
        receptive_field   of the part, along one side
        parameters        of the part
        multiplications   of the part, for one image
        validation_errors one for each learning rate
        lr                the learning rate with the fewest of them, used for all seeds
        seeds, errors     of the 10,000 test images, one for each seed
        seconds, cpu_seconds
"""

import recording
import torch
from recipe import train
from torch import nn

from helpers import mnist
from helpers.receptive_field import receptive_field
from helpers.sizes import parameter_count
from helpers.training import evaluate, seed_everything

SEEDS = [0, 1, 2, 3, 4]
SEARCH_SEED = 100
SIDE = 14  # of the maps that the part works on
SETTINGS = {
    "train_images": 10_000,
    "validation_images": 5_000,
    "test_images": 10_000,
    "channels": 8,
    "epochs": 5,
    "batch_size": 50,
    "learning_rates": [0.006, 0.02, 0.06],
}
METHOD = (
    "Before the part stand a 3×3 convolution, ReLU and 2×2 max pooling, behind it 2×2 max pooling and a linear layer; "
    "every convolution pads so that the size stays. Adam, with a learning rate that rises to lr and falls to nothing "
    "(one cycle), and cross-entropy, on the first 10,000 training images. For each part, one training with another "
    "seed at each learning rate; the rate with the fewest errors on the next 5,000 training images is taken for all "
    "seeds. The test images choose nothing."
)
# name: (kernel size, how many, whether a ReLU follows each or only the last)
PARTS = {
    "one 5×5": (5, 1, True),
    "two 3×3": (3, 2, True),
    "one 7×7": (7, 1, True),
    "three 3×3": (3, 3, True),
    "three 3×3, no ReLU between": (3, 3, False),
}


def layers_of(name):
    """The convolutions that are compared, with their ReLUs: maps (N, channels, 14, 14) keep their shape."""
    kernel_size, count, relu_between = PARTS[name]
    layers = []
    for number in range(count):
        layers.append(nn.Conv2d(SETTINGS["channels"], SETTINGS["channels"], kernel_size, padding=kernel_size // 2))
        if relu_between or number == count - 1:
            layers.append(nn.ReLU())
    return layers


def build(name):
    """The whole network, from images (N, 1, 28, 28) to logits (N, 10)."""
    channels = SETTINGS["channels"]
    before = [nn.Conv2d(1, channels, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    behind = [nn.MaxPool2d(2), nn.Flatten(), nn.Linear(channels * (SIDE // 2) ** 2, 10)]
    return nn.Sequential(*before, *layers_of(name), *behind)


def trained(name, lr, seed, images, labels):
    seed_everything(seed)
    network = build(name)
    train(network, images, labels, epochs=SETTINGS["epochs"], lr=lr, batch_size=SETTINGS["batch_size"], seed=seed)
    return network


def perform(part):
    """Choose a learning rate, then train and measure with every seed."""
    all_images, all_labels = mnist.load("train")
    count, held_back = SETTINGS["train_images"], SETTINGS["validation_images"]
    images, labels = all_images[:count], all_labels[:count]
    validation = all_images[count : count + held_back], all_labels[count : count + held_back]
    tried = [
        evaluate(trained(part, lr, SEARCH_SEED, images, labels), *validation).errors
        for lr in SETTINGS["learning_rates"]
    ]
    lr = min(zip(tried, SETTINGS["learning_rates"]))[1]
    test = mnist.load("test")
    compared = nn.Sequential(*layers_of(part))
    convolutions = [layer for layer in compared if isinstance(layer, nn.Conv2d)]
    return {
        "receptive_field": receptive_field(compared)[0].size,
        "parameters": parameter_count(compared),
        "multiplications": sum(layer.weight.numel() * SIDE * SIDE for layer in convolutions),
        "validation_errors": tried,
        "lr": lr,
        "seeds": SEEDS,
        "errors": [evaluate(trained(part, lr, seed, images, labels), *test).errors for seed in SEEDS],
    }


def settings_of(record, keys):
    return [record.get(name) for name in ("method", *SETTINGS)]


def main(path=recording.RESULTS / "filter_stacks.json"):
    torch.set_num_threads(1)
    what = (
        "errors on MNIST's test images of networks with one large filter, "
        "and with a stack of small ones that sees as far"
    )
    record = recording.about(what, "python benchmarks/filter_stacks.py") | {"method": METHOD} | SETTINGS
    plan = [{"part": name} for name in PARTS]
    recording.keep_going(path, record, plan, perform, settings_of)


if __name__ == "__main__":
    recording.run_until_interrupted(main)
