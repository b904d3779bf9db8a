"""What more data is worth, and what invented data: LeNet's test errors against the number of training images.

``python benchmarks/augmentation.py`` takes about 13 minutes of one core. Each finished run is recorded; after Ctrl-C
the same command does the rest. All settings were fixed before the first run; the test images choose nothing.

``results/augmentation.json``, beside what ``recording.py`` describes:

    method         how a network is trained
    test_images    10000
    network        "LeNet today", helpers.lenet.LeNet
    sizes          list of {"size": training images, "epochs": passes through them, "steps"}
    lr, batch_size, seeds
    augmentation   {"random_affine": {setting: value}}
    runs           list of one for each size, seed, and both values of augmented, that is done:
        size, seed, augmented (true or false), errors, seconds, cpu_seconds

Networks of one seed start from the same weights; the images of a smaller size are among those of a larger one.
"""

import math

import recording
import torch
from ladder import AFFINE, distortion
from recipe import mistakes, probabilities, train

from helpers import mnist
from helpers.lenet import LeNet
from helpers.training import seed_everything

# training images: epochs. More images get more steps, with and without augmentation the same number.
EPOCHS = {100: 500, 300: 200, 1000: 75, 3000: 33, 10000: 15, 60000: 8}
SEEDS = (0, 1)
LR = 0.003
BATCH_SIZE = 50
AUGMENTATION = {"random_affine": AFFINE}
METHOD = (
    "The seed draws the training images from the 60,000, decides the first weights, the order of the images and the "
    "distortions. Adam, with a learning rate that rises to lr and falls to nothing (one cycle); cross-entropy. With "
    "augmentation every image is distorted anew in every epoch; the number of steps is the same."
)


def settings_of(record, keys):
    """What a run depends on, in a record."""
    sizes = {size["size"]: size for size in record.get("sizes", [])}
    return [sizes.get(keys["size"])] + [record.get(name) for name in ("lr", "batch_size", "augmentation")]


def main(path=recording.RESULTS / "augmentation.json"):
    images, labels = mnist.load("train")
    test_images, test_labels = mnist.load("test")

    def perform(size, augmented, seed):
        chosen = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:size]
        seed_everything(seed)
        network = LeNet()
        settings = {"epochs": EPOCHS[size], "lr": LR, "batch_size": BATCH_SIZE, "seed": seed}
        augment = distortion(AUGMENTATION) if augmented else None
        train(network, images[chosen], labels[chosen], augment=augment, **settings)
        return {"errors": mistakes(probabilities(network, test_images), test_labels)["errors"]}

    record = recording.about(
        "Errors of LeNet on MNIST's 10,000 test images by number of training images, with augmentation and without",
        "python benchmarks/augmentation.py",
    )
    sizes = [
        {"size": size, "epochs": epochs, "steps": epochs * math.ceil(size / BATCH_SIZE)}
        for size, epochs in EPOCHS.items()
    ]
    record |= {"method": METHOD, "test_images": len(test_images), "network": "LeNet today", "sizes": sizes, "lr": LR}
    record |= {"batch_size": BATCH_SIZE, "seeds": SEEDS, "augmentation": AUGMENTATION}
    plan = [
        {"size": size, "augmented": augmented, "seed": seed}
        for seed in SEEDS for size in EPOCHS for augmented in (False, True)
    ]  # fmt: skip
    record = recording.keep_going(path, record, plan, perform, settings_of)
    for size in EPOCHS:
        for augmented in (False, True):
            errors = [run["errors"] for run in record["runs"] if (run["size"], run["augmented"]) == (size, augmented)]
            print(f"{size:6} images, {'augmented' if augmented else 'as they are':11}:", *errors)


if __name__ == "__main__":
    recording.run_until_interrupted(main)
