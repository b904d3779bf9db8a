"""The long experiments of benchmarks/: how they record and go on, and that what is recorded is consistent."""

import getpass
import json
import os
import platform
import re
import signal
from itertools import combinations

import augmentation
import ladder
import numpy as np
import pytest
import recipe
import recording
import torch
from recipe import mistakes, probabilities, train
from torch import nn

from helpers import mnist
from helpers.training import fit

RESULTS = recording.RESULTS


@pytest.fixture(scope="module")
def test_labels():
    return mnist.load("test")[1]


@pytest.fixture
def few_images(monkeypatch):
    """Every benchmark sees 300 training and 200 test images."""
    sets = {"train": mnist.load("train"), "test": mnist.load("test")}
    small = {"train": [part[:300] for part in sets["train"]], "test": [part[:200] for part in sets["test"]]}
    monkeypatch.setattr(mnist, "load", lambda split: small[split])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield small
    torch.set_num_threads(threads)


# ---- recording


PLAN = [{"kind": kind, "seed": seed} for seed in (0, 1) for kind in ("a", "b")]


def kind_of(record, keys):
    return record.get("kinds", {}).get(keys["kind"])


class Interrupted(Exception):
    pass


def performer(stop_before=None):
    """Counts what it is asked to do, and fails before run number ``stop_before``."""
    asked = []

    def perform(kind, seed):
        if len(asked) == stop_before:
            raise Interrupted
        asked.append((kind, seed))
        return {"errors": 10 * seed + len(kind)}

    perform.asked = asked
    return perform


def test_an_interruption_keeps_every_finished_run_and_the_next_call_does_the_rest(tmp_path, capsys):
    path, record = tmp_path / "results" / "new.json", {"kinds": {"a": 1, "b": 2}} | recording.about("w", "c")
    first = performer(stop_before=3)
    with pytest.raises(Interrupted):
        recording.keep_going(path, record, PLAN, first, kind_of)
    half = json.loads(path.read_text(encoding="utf-8"))
    assert [(run["kind"], run["seed"]) for run in half["runs"]] == first.asked == [("a", 0), ("b", 0), ("a", 1)]
    assert all(run["seconds"] >= 0 and run["cpu_seconds"] >= 0 for run in half["runs"])

    second = performer()
    whole = recording.keep_going(path, record, PLAN, second, kind_of)
    assert second.asked == [("b", 1)]
    assert whole == json.loads(path.read_text(encoding="utf-8"))
    assert whole["runs"][:3] == half["runs"] and whole["runs"][3]["errors"] == 11
    assert [file.name for file in path.parent.iterdir()] == ["new.json"]

    third = performer()
    later = record | {"date": "2999-01-01", "what": "said better"}
    assert recording.keep_going(path, later, PLAN, third, kind_of) == whole | {"what": "said better"}
    assert third.asked == []


def test_runs_made_with_other_settings_are_done_again_and_only_those(tmp_path, capsys):
    path, record = tmp_path / "new.json", recording.about("w", "c")
    recording.keep_going(path, record | {"kinds": {"a": 1, "b": 2}}, PLAN, performer(), kind_of)
    again = performer()
    recording.keep_going(path, record | {"kinds": {"a": 1, "b": (3, 4)}}, PLAN, again, kind_of)
    assert again.asked == [("b", 0), ("b", 1)]
    assert "2 recorded runs were made with other settings" in capsys.readouterr().out
    more, longer = performer(), PLAN + [{"kind": "a", "seed": 2}]
    recording.keep_going(path, record | {"kinds": {"a": 1, "b": (3, 4)}}, longer, more, kind_of)
    assert more.asked == [("a", 2)]


def test_a_file_is_replaced_in_one_step(tmp_path, monkeypatch):
    path = tmp_path / "new.json"
    recording.put(path, "old")

    def fail(self, content):
        raise OSError("disk full")

    monkeypatch.setattr(type(path), "write_bytes", fail)
    with pytest.raises(OSError, match="disk full"):
        recording.put(path, "new")
    assert path.read_text() == "old"


def test_a_record_is_json_with_lists_of_numbers_on_one_line():
    record = {"a": [1, -2.5, 1e-9], "text": "[\n 1,\n 2]", "b": [{"c": [3]}, []], "d": ["x", 1]}
    text = recording.as_json(record)
    assert json.loads(text) == record
    assert '"a": [1, -2.5, 1e-09],\n' in text and '"c": [3]\n' in text


def test_about_names_versions_and_processor():
    record = recording.about("what", "command")
    assert set(record["versions"]) == {"python", "torch", "torchvision", "numpy", "helpers"}
    assert all(value not in (None, "", {}) for value in record.values())


def test_ctrl_c_ends_a_benchmark_with_a_sentence(capsys):
    def main():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as exit:
        recording.run_until_interrupted(main)
    assert exit.value.code == 130
    assert "the same command does the rest" in capsys.readouterr().err


# ---- the recipe


def test_the_recipe_learns_and_ends_with_a_learning_rate_of_nearly_nothing(few_images, monkeypatch):
    images, labels = few_images["train"]
    optimizers = []

    def spy(*arguments, **settings):
        optimizers.append(settings["optimizer"])
        return fit(*arguments, **settings)

    monkeypatch.setattr(recipe, "fit", spy)
    network = ladder.linear()
    train(network, images, labels, epochs=20, lr=0.01, batch_size=70, seed=0)
    assert mistakes(probabilities(network, images), labels)["errors"] < 30  # of 300; guessing errs on 270
    assert optimizers[0].param_groups[0]["lr"] < 1e-5


def test_ctrl_c_while_training_stops_the_benchmark(few_images):
    class Pressed(nn.Flatten):
        def forward(self, images):
            os.kill(os.getpid(), signal.SIGINT)
            return super().forward(images)

    with pytest.raises(KeyboardInterrupt):
        network = nn.Sequential(Pressed(), nn.Linear(784, 10))
        train(network, *few_images["train"], epochs=1, lr=0.01, batch_size=100, seed=0)


def test_mistakes_are_places_and_guesses():
    scores = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    assert mistakes(scores, torch.tensor([0, 0, 1])) == {"errors": 2, "wrong": [1, 2], "guesses": [1, 0]}


# ---- the ladder


def small_rungs():
    return {
        "linear classifier": ("", ladder.linear, 1, 0.01, None, 2),
        ladder.LAST: ("", ladder.deep, 1, 0.01, {"random_affine": ladder.AFFINE}, 3),
    }


def check_ladder(record, members, labels):
    places = [(run["rung"], run["seed"]) for run in record["runs"]]
    assert len(places) == len(set(places))
    for run in record["runs"]:
        assert len(run["wrong"]) == len(run["guesses"]) == run["errors"]
        assert all(labels[place] != guess for place, guess in zip(run["wrong"], run["guesses"]))
    seeds = [run["seed"] for run in record["runs"] if run["rung"] == record["average"]["rung"]]
    kept = [torch.from_numpy(members[f"seed {seed}"].astype(np.int64)) for seed in seeds]
    average = record["average"]
    assert average["members"] == len(kept)
    mean = torch.stack(kept).double().mean(0) / 65535
    assert mean.sum(dim=1) == pytest.approx(1, abs=1e-3)
    wrong = (mean.argmax(1) != labels).nonzero().flatten().tolist()
    assert average["wrong"] == wrong and average["errors"] == len(wrong)
    assert average["guesses"] == mean.argmax(1)[wrong].tolist()
    for entry in average["by_members"]:
        assert len(entry["errors"]) == len(list(combinations(seeds, entry["members"])))
    assert average["by_members"][-1]["errors"] == [average["errors"]]
    # Rounding to 1/65535 decides no answer of a single network.
    errors = [run["errors"] for run in record["runs"] if run["rung"] == average["rung"]]
    assert average["by_members"][0]["errors"] == errors


def test_the_ladder_records_every_rung_and_its_average_and_goes_on(few_images, monkeypatch, tmp_path, capsys):
    rungs = small_rungs()
    monkeypatch.setattr(ladder, "RUNGS", rungs)
    path = tmp_path / "ladder.json"
    ladder.main(path)
    record = json.loads(path.read_text(encoding="utf-8"))
    expected = [
        ("linear classifier", 0),
        (ladder.LAST, 0),
        ("linear classifier", 1),
        (ladder.LAST, 1),
        (ladder.LAST, 2),
    ]
    assert [(run["rung"], run["seed"]) for run in record["runs"]] == expected
    with np.load(tmp_path / "ladder_members.npz") as members:
        check_ladder(record, members, few_images["test"][1])

    # One more member: the others stay, and the average follows.
    monkeypatch.setitem(rungs, ladder.LAST, rungs[ladder.LAST][:-1] + (4,))
    ladder.main(path)
    longer = json.loads(path.read_text(encoding="utf-8"))
    assert longer["runs"][:-1] == record["runs"] and longer["average"]["members"] == 4
    # Another learning rate: that rung is done anew.
    capsys.readouterr()
    monkeypatch.setitem(rungs, "linear classifier", ("", ladder.linear, 1, 0.02, None, 2))
    ladder.main(path)
    assert "2 recorded runs were made with other settings" in capsys.readouterr().out


def test_a_rung_repeats_with_its_seed(few_images, monkeypatch):
    monkeypatch.setattr(ladder, "RUNGS", small_rungs())
    first, again, other = (ladder.train_rung(ladder.LAST, seed, *few_images["train"])[0].weight for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


# ---- the number of training images


def test_augmentation_compares_equal_numbers_of_steps_on_the_same_images(few_images, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(augmentation, "EPOCHS", {60: 2, 300: 1})
    monkeypatch.setattr(augmentation, "SEEDS", (0, 1))
    trained = []

    def spy(network, images, labels, **settings):
        trained.append((images.clone(), labels.clone(), network.layers.conv1.weight.clone(), settings))
        return train(network, images, labels, **settings)

    monkeypatch.setattr(augmentation, "train", spy)
    augmentation.main(tmp_path / "augmentation.json")
    record = json.loads((tmp_path / "augmentation.json").read_text(encoding="utf-8"))
    assert len(record["runs"]) == len(trained) == 8
    for plain, augmented in zip(trained[::2], trained[1::2]):
        assert all(torch.equal(one, other) for one, other in zip(plain[:3], augmented[:3]))
        assert plain[3].pop("augment") is None and augmented[3].pop("augment") is not None
        assert plain[3] == augmented[3]
    assert [size["steps"] for size in record["sizes"]] == [4, 6]
    small, large = trained[0][0], trained[2][0]
    assert torch.equal(large[:60], small)  # the same seed: those of the smaller set are among those of the larger
    assert not torch.equal(trained[4][0], small)


# ---- what is recorded


def recorded(name):
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))


@pytest.mark.row("I7")
def test_the_recorded_ladder_is_consistent(test_labels):
    record = recorded("ladder.json")
    with np.load(RESULTS / "ladder_members.npz") as members:
        check_ladder(record, members, test_labels)
    assert [rung["name"] for rung in record["rungs"]] == list(ladder.RUNGS)
    assert record["rungs"] == json.loads(json.dumps(ladder.described()))
    wanted = {(rung["name"], seed) for rung in record["rungs"] for seed in rung["seeds"]}
    assert {(run["rung"], run["seed"]) for run in record["runs"]} == wanted


@pytest.mark.row("I7")
def test_each_rung_of_the_recorded_ladder_errs_less_than_the_one_below():
    record = recorded("ladder.json")
    errors = {}
    for run in record["runs"]:
        errors.setdefault(run["rung"], []).append(run["errors"])
    means = [sum(errors[name]) / len(errors[name]) for name in ladder.RUNGS] + [record["average"]["errors"]]
    assert means == sorted(means, reverse=True)
    assert record["average"]["errors"] < 40


@pytest.mark.row("I6")
def test_the_recorded_augmentation_is_complete_and_helps_where_images_are_few():
    record = recorded("augmentation.json")
    errors = {(run["size"], run["augmented"], run["seed"]): run["errors"] for run in record["runs"]}
    sizes = [size["size"] for size in record["sizes"]]
    assert set(errors) == {
        (size, augmented, seed) for size in sizes for augmented in (False, True) for seed in record["seeds"]
    }
    assert len(errors) == len(record["runs"])
    for seed in record["seeds"]:
        for size in (100, 300, 1000, 3000, 10000):
            assert errors[size, True, seed] < errors[size, False, seed]
        assert errors[100, False, seed] > errors[1000, False, seed] > errors[60000, False, seed]


@pytest.mark.parametrize("name", ["ladder.json", "augmentation.json", "lenet.json", "training.json"])
def test_the_records_say_how_to_make_them_again_and_nothing_about_whose_machine_it_was(name):
    record = recorded(name)
    for field in recording.about("", ""):
        assert record[field] not in (None, "", {})
    assert record["command"].startswith("python benchmarks/")
    for run in record["runs"]:
        assert run["cpu_seconds"] > 0 and run["seconds"] > 0 and 0 < run["errors"] < 10000
    text = (RESULTS / name).read_text(encoding="utf-8")
    assert not re.search(r"/(home|root|Users|work|tmp|usr)/|[A-Z]:\\", text), "a path of the machine"
    for secret in (platform.node(), getpass.getuser()):
        assert len(secret) < 5 or secret not in text
