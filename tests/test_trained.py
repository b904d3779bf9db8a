"""helpers.trained: the weights that come with the course are what the record says they are."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import train_lenet

from helpers import lenet, mnist, trained
from helpers.training import evaluate
from helpers.transformations import affine

ROOT = Path(__file__).resolve().parent.parent
NAMES = ["plain", "augmented"]


@pytest.fixture(scope="module")
def record():
    return json.loads((ROOT / "results" / "lenet.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def test_set():
    return mnist.load("test")


@pytest.mark.row("N3")
@pytest.mark.parametrize("name", NAMES)
def test_the_recorded_errors_are_those_of_the_stored_weights(record, test_set, name):
    network = trained.load(name)
    assert isinstance(network, lenet.LeNet) and not any(module.training for module in network.modules())
    (run,) = (run for run in record["runs"] if run["network"] == name)
    # Another processor adds in another order: an image between two digits may fall to the other side.
    assert abs(evaluate(network, *test_set).errors - run["errors"]) <= 2
    assert len(run["wrong"]) == len(run["guesses"]) == run["errors"] < 120
    assert all(test_set[1][place] != guess for place, guess in zip(run["wrong"], run["guesses"]))
    path = trained.WEIGHTS / f"lenet_{name}.npz"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == run["sha256"]
    assert record["networks"][name] == train_lenet.NETWORKS[name]


@pytest.mark.parametrize("name", NAMES)
def test_the_weights_are_stored_as_float16_and_loaded_without_loss(name):
    with np.load(trained.WEIGHTS / f"lenet_{name}.npz") as weights:
        assert {value.dtype for value in weights.values()} == {np.dtype(np.float16)}
        state = trained.load(name).state_dict()
        assert set(weights) == set(state)
        assert all(torch.equal(state[key], torch.from_numpy(weights[key]).float()) for key in state)


@pytest.mark.row("I6")
def test_the_augmented_network_stands_more_of_what_it_was_trained_with(test_set):
    images, labels = (part[:1000] for part in test_set)
    for transformation in ({"rotate": 30}, {"translate": (4, 0)}, {"scale": 0.7}, {"shear": 25}, {"stretch": 0.7}):
        moved = affine(images, **transformation)
        plain, augmented = (evaluate(trained.load(name), moved, labels).errors for name in NAMES)
        assert augmented < plain, transformation


def test_a_name_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match=r'unknown network \'best\': there are "plain" and "augmented"'):
        trained.load("best")


def test_damaged_and_missing_weights_are_noticed(monkeypatch, tmp_path):
    folder = shutil.copytree(trained.WEIGHTS, tmp_path / "weights")
    monkeypatch.setattr(trained, "WEIGHTS", folder)
    trained.load("plain")
    path = folder / "lenet_plain.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(RuntimeError, match="is damaged.*install the course's helpers package again"):
        trained.load("plain")
    path.unlink()
    with pytest.raises(RuntimeError, match="is missing.*install the course's helpers package again"):
        trained.load("plain")


def test_saving_and_loading_gives_the_network_back_rounded_to_float16(monkeypatch, tmp_path):
    monkeypatch.setattr(trained, "WEIGHTS", tmp_path)
    networks = {name: lenet.LeNet() for name in NAMES}
    for name, network in networks.items():
        train_lenet.save(network, name, tmp_path)
    for name, network in networks.items():
        loaded = trained.load(name).state_dict()
        assert all(torch.equal(loaded[key], value.half().float()) for key, value in network.state_dict().items())
