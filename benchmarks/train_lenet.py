"""Train the LeNet that comes with the course, plain and augmented: ``python benchmarks/train_lenet.py``, some minutes.

It writes ``helpers/weights/lenet_plain.npz`` and ``lenet_augmented.npz`` (float16, by name of the parameter), their
``checksums.json`` (sha256 of the files), and what they are worth into ``results/lenet.json``, beside what
``recording.py`` describes:

    method         how a network is trained
    test_images    10000
    networks       {"plain": ..., "augmented": ...}: epochs, lr, batch_size, augmentation as in ladder.json
    runs           one for each of the two:
        network, seed, seconds, cpu_seconds
        errors, wrong, guesses    on the test images, with the float16 weights
        sha256                    of the file of weights

The plain one is that of the ladder's rung "LeNet today". The augmented one is to stand larger transformations than the
test images hold, so it is trained with larger ones than its rung. All was fixed before the first run.
"""

import hashlib
import io
import json

import ladder
import numpy
import recording
from recipe import mistakes, probabilities, train

from helpers import mnist, trained
from helpers.lenet import LeNet
from helpers.training import seed_everything

SEED = 0
WIDE = {"random_affine": {"translate": 3, "rotate": 20, "scale": 1.2, "stretch": 1.2, "shear": 15}}
NETWORKS = {
    "plain": {"epochs": 8, "lr": 0.003, "batch_size": 100, "augmentation": None},
    "augmented": {"epochs": 15, "lr": 0.003, "batch_size": 100, "augmentation": WIDE},
}


def save(network, name, folder):
    """Store the weights as float16, and their checksum; returns the checksum."""
    file = io.BytesIO()
    numpy.savez(file, **{key: value.half().numpy() for key, value in network.state_dict().items()})
    path, checksums = folder / f"lenet_{name}.npz", folder / "checksums.json"
    known = json.loads(checksums.read_text(encoding="utf-8")) if checksums.exists() else {}
    known[path.name] = hashlib.sha256(file.getvalue()).hexdigest()
    recording.put(path, file.getvalue())
    recording.put(checksums, recording.as_json(known))
    return known[path.name]


def main(path=recording.RESULTS / "lenet.json"):
    images, labels = mnist.load("train")
    test_images, test_labels = mnist.load("test")

    def perform(network, seed):
        settings = dict(NETWORKS[network])
        augment = ladder.distortion(settings.pop("augmentation"))
        seed_everything(seed)
        lenet = LeNet()
        train(lenet, images, labels, seed=seed, augment=augment, **settings)
        checksum = save(lenet, network, trained.WEIGHTS)
        return mistakes(probabilities(trained.load(network), test_images), test_labels) | {"sha256": checksum}

    what = "The LeNet that comes with the course: helpers.trained"
    record = recording.about(what, "python benchmarks/train_lenet.py")
    record |= {"method": ladder.METHOD, "test_images": len(test_images), "networks": NETWORKS}
    plan = [{"network": name, "seed": SEED} for name in NETWORKS]
    recording.keep_going(path, record, plan, perform, lambda record, keys: record["networks"][keys["network"]])


if __name__ == "__main__":
    recording.run_until_interrupted(main)
