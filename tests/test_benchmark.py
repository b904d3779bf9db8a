"""The recorded speeds: complete, consistent, without a trace of the machine's owner; and the program that records them."""

import getpass
import importlib.util
import json
import platform
import re
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WORKLOADS = [
    "LeNet conv1", "LeNet conv2", "the lecture's layer", "3×3, 64 channels", "3×3, 128 channels", "7×7, stride 2",
    "1×1, 256 channels", "depthwise 3×3", "3×3, dilation 2",
]  # fmt: skip
PASSES = ["forward", "forward + backward"]
OWN = ["ours", "F.unfold + matmul", "windows + einsum"]


@pytest.fixture(scope="module")
def benchmark():
    specification = importlib.util.spec_from_file_location("benchmark_conv2d", ROOT / "benchmarks" / "conv2d.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def recorded():
    return json.loads((ROOT / "results" / "conv2d.json").read_text(encoding="utf-8"))


def check_consistent(results):
    for entry in results["speed"]:
        assert entry["ratio"] == pytest.approx(entry["milliseconds"] / entry["built_in_milliseconds"], rel=2e-3)
        assert entry["pairs"] >= 3 and entry["gflops"] > 0
    for entry in results["memory"]:
        assert entry["mebibytes"] is None or entry["mebibytes"] > 0.9 * entry["returned_mebibytes"]
    for entry in results["epoch"]:
        assert entry["ratio"] == pytest.approx(entry["seconds"] / entry["built_in_seconds"], rel=2e-3)
        # Rounding alone sets two runs apart: the built-in at 1 and at 2 threads differs by a tenth, too.
        assert entry["last_loss"] == pytest.approx(entry["built_in_last_loss"], rel=0.25), "both networks learn the same"
    for mean in results["geometric_means"]:
        key = mean["threads"], mean["pass"], mean["implementation"]
        ratios = [e["ratio"] for e in results["speed"] if (e["threads"], e["pass"], e["implementation"]) == key]
        assert len(ratios) == len(results["workloads"])
        assert mean["ratio"] == pytest.approx(statistics.geometric_mean(ratios), rel=1e-3)


def test_every_workload_is_recorded_in_both_passes_at_both_thread_counts(recorded):
    assert list(recorded["workloads"]) == WORKLOADS
    places = [(e["threads"], e["pass"], e["workload"], e["implementation"]) for e in recorded["speed"]]
    assert len(places) == len(set(places))
    wanted = {(t, p, w, i) for t in (1, 2) for p in PASSES for w in WORKLOADS for i in OWN}
    wanted |= {(t, "forward", w, "loops") for t in (1, 2) for w in WORKLOADS[:3]}
    assert set(places) == wanted
    memory = {(e["workload"], e["implementation"]) for e in recorded["memory"]}
    assert memory == {(w, i) for w in WORKLOADS for i in [*OWN, "nn.Conv2d"]}
    assert [(e["threads"], e["steps"]) for e in recorded["epoch"]] == [(1, 600), (2, 600)]
    assert [e["threads"] for e in recorded["limit"]] == [1, 2]


def test_the_recorded_ratios_and_means_follow_from_the_recorded_times(recorded):
    check_consistent(recorded)
    means = [(e["threads"], e["pass"], e["implementation"]) for e in recorded["geometric_means"]]
    assert sorted(means) == sorted((t, p, i) for t in (1, 2) for p in PASSES for i in OWN)


def test_the_recorded_speeds_are_those_of_todays_layer(benchmark, recorded):
    assert recorded["conv_sha256"] == benchmark.code_measured(), "the layer has changed since: run `make bench`"


def test_the_recorded_means_are_as_chapter_2_describes_them(recorded):
    means = {(e["implementation"], e["threads"], e["pass"]): e["ratio"] for e in recorded["geometric_means"]}
    one, two = ([means["ours", threads, each] for each in PASSES] for threads in (1, 2))
    for each in PASSES:
        assert means["ours", 1, each] == min(means[name, 1, each] for name in OWN), "nearest of the three"
    assert one[1] < one[0], "on one thread nearer with its gradients than forward alone"
    assert two[0] > one[0] and two[1] > one[1], "further away with two threads"
    assert min(e["ratio"] for e in recorded["speed"] if (e["threads"], e["implementation"]) == (1, "ours")) < 1, "somewhere faster"


def test_the_record_says_how_to_make_it_again_and_nothing_about_whose_machine_it_was(recorded):
    provenance = ["command", "date", "seed", "seconds", "processor", "cores", "threads", "environment", "method"]
    assert all(recorded[field] not in (None, "", {}) for field in provenance)
    assert [recorded["environment"][part]["OMP_WAIT_POLICY"] for part in ("speed", "memory")] == ["PASSIVE"] * 2
    assert all(recorded["versions"][name] for name in ("python", "torch", "helpers"))
    for name in ("conv2d.json", "conv2d.svg"):
        text = (ROOT / "results" / name).read_text(encoding="utf-8")
        assert not re.search(r"/(home|root|Users|work|tmp|usr)/|[A-Z]:\\", text), "a path of the machine"
        for secret in (platform.node(), getpass.getuser()):
            assert len(secret) < 5 or secret not in text


def test_the_recorded_picture_is_drawn_from_the_record(benchmark, recorded, tmp_path):
    benchmark.write(recorded, tmp_path / "conv2d.json")
    assert json.loads((tmp_path / "conv2d.json").read_text(encoding="utf-8")) == recorded
    drawn, kept = ((folder / "conv2d.svg").read_text(encoding="utf-8") for folder in (tmp_path, ROOT / "results"))
    assert re.findall(r">([^<>]*\w[^<>]*)</text>", drawn) == re.findall(r">([^<>]*\w[^<>]*)</text>", kept)


def test_the_quick_mode_measures_one_workload(benchmark, tmp_path, capsys):
    path = tmp_path / "quick.json"
    benchmark.main(["--quick", "--output", str(path)])
    results = json.loads(path.read_text(encoding="utf-8"))
    check_consistent(results)
    assert {e["workload"] for e in results["speed"]} == {"LeNet conv2"}
    assert {(e["pass"], e["implementation"]) for e in results["speed"]} == {(p, i) for p in PASSES for i in OWN} | {("forward", "loops")}
    assert "LeNet conv2" in capsys.readouterr().out


def test_an_interruption_leaves_the_old_results_as_they_were(benchmark, tmp_path, monkeypatch):
    path = tmp_path / "old.json"
    path.write_text("old")

    def interrupted(*arguments, threads):
        yield {"limit": {"threads": threads, "gflops": 1.0}}
        raise KeyboardInterrupt

    monkeypatch.setattr(benchmark, "lines_from", interrupted)
    with pytest.raises(KeyboardInterrupt):
        benchmark.main(["--quick", "--output", str(path)])
    assert path.read_text() == "old" and [file.name for file in tmp_path.iterdir()] == ["old.json"]


def test_a_layer_that_computes_something_else_is_not_timed(benchmark, monkeypatch):
    class Wrong(benchmark.conv.Conv2D):
        def forward(self, input):
            return super().forward(input) * 1.01

    monkeypatch.setitem(benchmark.LAYERS, "ours", Wrong)
    with pytest.raises(RuntimeError, match="differs from nn.Conv2d"):
        benchmark.measure_speed("LeNet conv2", "forward + backward", "ours", quick=True)


def test_the_costs_of_grading_in_the_text_are_those_that_were_recorded():
    runs = json.loads((ROOT / "results" / "grading.json").read_text(encoding="utf-8"))["runs"]
    runs = {(run["submission"], run["cores"]): run for run in runs}
    text = " ".join((ROOT / "grading.md").read_text(encoding="utf-8").split())
    second, first = runs["02_conv2d, a class", 1]["each"], runs["01_mnist_cnn, solved", 1]["seconds"]
    on_two = runs["01_mnist_cnn, solved", 2]["seconds"]
    assert f"experiment 2 takes {second:.0f} seconds, most of them for importing PyTorch: {200 * second / 60:.0f} minutes for 200" in text
    assert f"takes {first:.0f} seconds ({on_two:.0f} on two cores)" in text and 5 < 200 * first / 3600 < 5.5
    assert f"experiment 2 takes about {50 * second / 60:.0f} minutes on one core, and experiment 1 from {50 * first / 60:.0f} minutes" in text
    loops = [runs[f"{stem}, looping", 2] for stem in ("02_conv2d", "01_mnist_cnn")]
    assert f"its whole budget, {loops[0]['budget']} and {loops[1]['budget']} seconds" in text
    assert all(run["seconds"] < run["budget"] + 5 for run in loops)
