"""The grader with honest submissions: what it reads, what it runs, what it says, and how it deals with a class."""

import csv
import io
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hostile import cases, experiments
from hypothesis import given, settings
from hypothesis import strategies as st
from test_pages import AXE, axe, browser  # noqa: F401 (browser is a fixture)

from helpers.grading import __main__ as command
from helpers.grading import folder, judge, report, rules, sandbox, selection, submission, wire
from helpers.grading.experiments import Check, Experiment, Foreign, Raised, Result, Stopped, Wrong

ROOT = Path(__file__).resolve().parent.parent
RIGHT = cases.notebook(cases.IMPORTS, cases.ADD, cases.CONV)


def submit(path, *sources):
    path.write_text(cases.notebook(*sources), encoding="utf-8")
    return path


def chosen(tmp_path, names, *sources):
    handed_in = submission.read(submit(tmp_path / "one.ipynb", *sources))
    every, broken = selection.statements(handed_in)
    return selection.select(every, names, broken)


def code(selected):
    import ast

    return [ast.unparse(statement.tree) for statement in selected.statements]


def findings(tmp_path, source, name="f", **given):
    return [(each.kind, each.what) for each in rules.look(chosen(tmp_path, [name], source).statements, **given)]


def ask(tmp_path, run, *sources, seconds=90, names=("f", "Net", "train")):
    """Run one check against a worker; gives its grade."""
    experiment = Experiment("one", "One", "one", seconds, names, [Check("one", 1, run)])
    return judge.grade(
        submit(tmp_path / "one.ipynb", cases.IMPORTS, *sources), experiment, level=sandbox.PROCESS, threads=1
    )


# What is taken from a notebook


def test_only_what_an_answer_needs_is_chosen(tmp_path):
    selected = chosen(tmp_path, ["f"], "import torch, os", "SIZE = 3\nUNUSED = print('run')", "def g(x):\n    return x * SIZE",
                      "def f(x):\n    return g(x)", "f(1)\nprint(f(2))\nassert f(1) == 3", "for _ in range(10):\n    f(2)")  # fmt: skip
    assert code(selected) == ["SIZE = 3", "def g(x):\n    return x * SIZE", "def f(x):\n    return g(x)"]


def test_what_changes_an_answer_afterwards_is_chosen_too(tmp_path):
    selected = chosen(tmp_path, ["Net"], "class Net:\n    pass", "Net.size = 3", "sizes = []\nsizes.append(4)\nsizes[0] = 5",
                      "def forward(self):\n    return sizes", "Net.forward = forward")  # fmt: skip
    assert len(selected.statements) == 7


def test_a_local_name_does_not_pull_in_a_global_one(tmp_path):
    selected = chosen(tmp_path, ["f"], "loss = expensive()", "def f(model):\n    loss = model()\n    return loss")
    assert len(selected.statements) == 1


def test_a_name_that_nothing_defines_is_told(tmp_path):
    assert chosen(tmp_path, ["f"], "def f():\n    return helper()").missing == ["helper"]


def test_a_cell_that_is_not_python_is_told_with_its_line(tmp_path):
    assert chosen(tmp_path, ["f"], "x = 1", "a = 1\nfor x in").broken[2].startswith("line 2")


# What its code must not use


@pytest.mark.parametrize(
    "body",
    [
        "F.conv2d(x)",
        "torch.nn.functional.conv2d(x)",
        "g(x)",
        "h.conv2d(x)",
        "getattr(F, 'conv2d')(x)",
        "nn.Conv2d(1, 1, 1)(x)",
    ],
)
def test_a_forbidden_name_is_found_under_any_alias(tmp_path, body):
    source = f"{cases.IMPORTS}\nfrom torch.nn.functional import conv2d as g\nh = F\ndef f(x):\n    return {body}"
    assert [
        kind for kind, _ in findings(tmp_path, source, forbidden=("torch.nn.functional.conv*", "torch.nn.Conv*"))
    ] == ["forbidden"]


@pytest.mark.parametrize(
    "body",
    [
        "self.conv2d(x)", "conv2d(x)", "x.unfold(0, 1, 1)", "F.pad(x, (1, 1))", "getattr(self, f'conv{x}')", "input + 1",
        "os.path.join('a', 'b')", "torch.backends.cudnn.benchmark", "'F.conv2d'", "setattr(self, 'layer', x)", "x.eval()",
        "self.__class__.__name__", "super().__init__()", "sys.path.append('..')", "np.random.seed(0)",
    ],
)  # fmt: skip
def test_honest_code_is_not_suspected(tmp_path, body):
    source = f"{cases.IMPORTS}\nimport os, sys\nimport numpy as np\ndef conv2d(x):\n    return x\ndef f(self, x, input=1):\n    return {body}"
    given = experiments.load("conv2d")
    assert not findings(tmp_path, source, forbidden=given.forbidden, watched=True)


@pytest.mark.parametrize(
    "body",
    [
        "exec('x')", "eval('x')", "sys.modules", "sys._getframe()", "f.__globals__", "().__class__.__base__", "getattr(f, x)",
        "torch.sys.modules", "warnings.sys.modules", "getattr(f, '__glo' + 'bals__')", "map(getattr, x)", "globals()['x']",
    ],
)  # fmt: skip
def test_code_that_reaches_into_the_interpreter_is_suspect(tmp_path, body):
    source = f"{cases.IMPORTS}\nimport sys, warnings\ndef f(x):\n    return {body}"
    assert {kind for kind, _ in findings(tmp_path, source)} == {"suspect"}


def test_a_function_put_in_the_place_of_torchs_is_suspect(tmp_path):
    assert findings(tmp_path, f"{cases.IMPORTS}\ndef f(x):\n    torch.allclose = x") == [
        ("suspect", "torch.allclose is replaced")
    ]


def test_only_allowed_packages_may_be_imported_where_there_is_a_list(tmp_path):
    source = "import torch\nimport scipy.signal\ndef f(x):\n    return torch, scipy.signal"
    assert ("forbidden", "import scipy.signal") in findings(tmp_path, source, allowed_imports=("torch",))


# How values travel


def sent(value):
    line = io.BytesIO()
    wire.write(line, value)
    line.seek(0)
    return wire.read(line)


plain = st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False) | st.text()


@given(
    st.recursive(
        plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=9
    )
)
def test_plain_values_arrive_as_they_were(value):
    assert sent([value]) == [value]


@given(
    st.sampled_from([torch.float32, torch.float64, torch.int64, torch.bool, torch.complex64]),
    st.lists(st.integers(0, 3), max_size=4),
)
@settings(max_examples=50)
def test_tensors_arrive_with_shape_and_type(dtype, shape):
    tensor = (torch.randn(shape) * 3).to(dtype)
    arrived = sent({"tensor": tensor})["tensor"]
    assert arrived.dtype == dtype and arrived.shape == tensor.shape and torch.equal(arrived, tensor)


def test_what_is_no_value_arrives_as_foreign():
    assert sent([object(), torch.nn.ReLU(), np.array([object()]), b"x", 2**80]) == [
        Foreign("object"), Foreign("ReLU"), Foreign("ndarray"), Foreign("bytes"), Foreign("an integer of more than 64 bits"),
    ]  # fmt: skip


def test_a_list_that_holds_itself_is_cut():
    endless = []
    endless.append(endless)
    assert "nested too deeply" in str(sent(endless))


@given(st.binary(max_size=300))
@settings(max_examples=200)
def test_bytes_that_are_no_frame_are_refused(content):
    with io.BytesIO(content) as line:
        try:
            wire.read(line)
        except wire.BadFrame:
            pass


def test_a_frame_that_unpacks_to_more_than_is_allowed_is_refused():
    import zipfile

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tensor0.npy", bytes(2**24))
    body, text = packed.getvalue(), b'{"tensor": "tensor0"}'
    frame = (8 + len(text) + len(body)).to_bytes(8, "big") + len(text).to_bytes(8, "big") + text + body
    with pytest.raises(wire.BadFrame, match="unpacks"):
        wire.read(io.BytesIO(frame), largest=2**20)


# What a check can ask


def test_a_call_gives_values_and_an_error_says_where_it_was(tmp_path):
    def check(worker, draw):
        assert worker.call("f", torch.tensor([1.0, 2.0]), power=2) == {"result": pytest.approx(5.0)}
        with pytest.raises(Raised) as raised:
            worker.call("f", None)
        assert raised.value.kind == "AttributeError" and raised.value.place == "cell 2, line 2, in f"

    grade = ask(tmp_path, check, "def f(x, power=1):\n    return {'result': x.pow(power).sum().item()}")
    assert grade.score == 1, grade.checks


def test_a_network_is_built_run_trained_and_watched(tmp_path):
    def check(worker, draw):
        network = worker.build("Net", seed=1)
        state = network.state()
        assert {name: tuple(value.shape) for name, value in state.items()} == {
            "linear.weight": (2, 3),
            "linear.bias": (2,),
        }
        network.load({"linear.weight": torch.ones(2, 3), "linear.bias": torch.zeros(2)})
        inputs, gradient = torch.randn(4, 3, generator=draw), torch.randn(4, 2, generator=draw)
        found = network.forward(inputs, gradient=gradient)
        assert torch.allclose(found.output, inputs.sum(1, keepdim=True).expand(4, 2))
        assert torch.allclose(found.gradients["linear.weight"], gradient.T @ inputs, atol=1e-5)
        assert torch.allclose(found.input_gradients[0], gradient @ torch.ones(2, 3), atol=1e-5)
        assert found.operators["addmm"] == 1
        training = network.train(torch.randn(10, 3), torch.zeros(10).long(), steps=3)
        assert [(step.batch, step.training, step.stale) for step in training.steps] == [
            (10, True, False),
            (10, False, True),
            (10, False, True),
        ]
        assert training.returned == "done" and not training.stopped
        assert network.predict(torch.zeros(7, 3), batch_size=2).shape == (7, 2)

    grade = ask(tmp_path, check, "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.linear = nn.Linear(3, 2)\n"
                "    def forward(self, x):\n        return self.linear(x)",
                "def train(model, images, labels, steps):\n    model.train()\n    optimizer = torch.optim.SGD(model.parameters(), 0.1)\n"
                "    for _ in range(steps):\n        F.cross_entropy(model(images), labels).backward()\n        optimizer.step()\n        model.eval()\n"
                "    return 'done'")  # fmt: skip
    assert grade.score == 1, grade.checks


def test_a_check_that_is_stopped_costs_the_next_one_nothing(tmp_path):
    def slow(worker, draw):
        worker.call("f", 99, seconds=1)

    def quick(worker, draw):
        return Result(0.5, str(worker.call("f", 0)))

    experiment = Experiment("two", "Two", "two", 90, ("f",), [Check("slow", 1, slow), Check("quick", 1, quick)])
    path = submit(tmp_path / "two.ipynb", "import time\ndef f(seconds):\n    time.sleep(seconds)\n    return 'slept'")
    grade = judge.grade(path, experiment, level=sandbox.PROCESS)
    assert [(check.points, check.message) for check in grade.checks] == [
        (0, "It took longer than 1 seconds and was stopped."), (0.5, "slept"),
    ]  # fmt: skip


def test_one_submission_costs_no_more_than_its_time(tmp_path):
    def endless(worker, draw):
        worker.call("f", seconds=60)

    started = time.monotonic()
    grade = ask(tmp_path, endless, "import time\ndef f():\n    while True:\n        try:\n            time.sleep(1)\n"
                "        except BaseException:\n            pass", seconds=8)  # fmt: skip
    assert grade.score == 0 and "stopped" in grade.checks[0].message
    assert time.monotonic() - started < 60  # its budget and 5 s, on a machine with nothing else to do


def test_a_check_with_a_mistake_of_its_own_asks_for_a_person(tmp_path):
    grade = ask(tmp_path, lambda worker, draw: torch.add(worker.call("f"), 1), "def f():\n    return 'text'")
    assert grade.score == 0 and "not of the kind" in grade.checks[0].message and grade.flags


def test_the_same_seed_draws_the_same_inputs(tmp_path):
    drawn = []
    check = Check("one", 1, lambda worker, draw: drawn.append(torch.randn(3, generator=draw)))
    path = submit(tmp_path / "one.ipynb", cases.ADD)
    for seed in (1, 1, 2):
        judge.grade(path, Experiment("one", "One", "one", 9, ("add",), [check]), seed=seed, level=sandbox.PROCESS)
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


def test_mnist_in_the_learners_process_has_no_test_images(tmp_path):
    def check(worker, draw):
        count, same = worker.call("f", seconds=30)
        assert (count, same, worker.loaded) == (10_000, True, ["test", "train"])

    grade = ask(tmp_path, check, "from helpers import mnist\ndef f():\n    test, train = mnist.load('test')[0], mnist.load('train')[0]\n"
                "    return len(test), torch.equal(test, train[-10_000:])")  # fmt: skip
    assert grade.score == 1, grade.checks


@pytest.mark.parametrize("error", [Wrong("no", "look"), Stopped("no", "look")])
def test_a_wrong_answer_has_a_message_and_a_hint(tmp_path, error):
    def check(worker, draw):
        raise error

    grade = ask(tmp_path, check, cases.ADD)
    assert (grade.checks[0].message, grade.checks[0].hint) == ("no", "look")
    assert "no" in report.text(grade.as_dict()) and "→ look" in report.text(grade.as_dict())


# The command line


def run(*arguments):
    try:
        return command.main([str(each) for each in arguments])
    except SystemExit as end:
        return end.code


def test_arguments_that_cannot_be_used_end_with_status_2_and_a_reason(tmp_path, capsys):
    (tmp_path / "other.ipynb").write_text(cases.notebook("x = 1"))
    for arguments, reason in {
        (tmp_path / "missing.ipynb",): "no file",
        (tmp_path,): "--out",
        (tmp_path / "other.ipynb",): "cannot be told which experiment",
        (tmp_path / "other.ipynb", "--out", tmp_path): "--out is for a folder",
        (tmp_path, "--out", tmp_path / "out", "--jobs", 0): "--jobs",
        (tmp_path, "--out", tmp_path / "out", "--experiment", "chemistry"): "invalid choice",
    }.items():
        assert run(*arguments) == 2
        assert reason in capsys.readouterr().err


def test_a_folder_is_refused_without_full_isolation(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))  # no bwrap to be found there
    sandbox.best_level.cache_clear()
    try:
        assert run(tmp_path, "--out", tmp_path / "out") == 2
        assert "--unsafe" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()
        assert run(tmp_path, "--out", tmp_path / "out", "--unsafe") == 0
    finally:
        sandbox.best_level.cache_clear()


def test_a_notebook_that_is_none_is_graded_with_nothing_and_status_0(tmp_path, capsys):
    path = tmp_path / "02_conv2d.ipynb"
    path.write_text("{")
    assert (
        run(path, "--experiment", "conv2d", "--json", tmp_path / "grade.json", "--html", tmp_path / "grade.html") == 0
    )
    grade = json.loads((tmp_path / "grade.json").read_text(encoding="utf-8"))
    assert (grade["score"], grade["max"]) == (0, 100) and "cannot be read" in grade["problem"]
    assert "cannot be read" in (tmp_path / "grade.html").read_text(encoding="utf-8")
    assert "Score: 0 of 100" in capsys.readouterr().out


# A class


@pytest.fixture
def submissions(tmp_path):
    (tmp_path / "submissions").mkdir()
    for name in ("ada", "ben", "eva"):
        (tmp_path / "submissions" / f"{name}.ipynb").write_text(RIGHT)
    return tmp_path / "submissions"


def first_says(word):
    def check(worker, draw):
        return Result(1.0, word)

    return Experiment("word", "Word", "word", 60, ("add",), [Check("word", 1, check)])


def table(out):
    with open(out / "grades.csv", newline="", encoding="utf-8") as file:
        return [(row["submission"], row["score"]) for row in csv.DictReader(file)]


def test_what_is_graded_is_graded_again_only_when_it_changed(submissions, tmp_path):
    out = tmp_path / "out"
    given = {"experiment": first_says("one"), "level": sandbox.PROCESS}
    folder.grade_all(submissions, out, **given, seed=1)
    assert table(out) == [("ada.ipynb", "1"), ("ben.ipynb", "1"), ("eva.ipynb", "1")]
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("submissions/*.json")}
    submit(submissions / "ben.ipynb", cases.ADD)
    folder.grade_all(submissions, out, **given, seed=1)
    again = {path.name for path in out.glob("submissions/*.json") if path.stat().st_mtime_ns != before[path.name]}
    assert len(again) == 1 and again.pop().startswith("ben")
    folder.grade_all(submissions, out, **given, seed=2)
    assert all(path.stat().st_mtime_ns != before[path.name] for path in out.glob("submissions/*.json"))


def test_a_grader_that_dies_loses_one_row_and_no_other(submissions, tmp_path):
    import os

    def check(worker, draw):
        if worker.call("add", torch.ones(1), torch.ones(1)) != 2:
            os._exit(7)

    submit(submissions / "ben.ipynb", cases.WRONG_ADD)
    experiment = Experiment("dies", "Dies", "dies", 60, ("add",), [Check("dies", 1, check)])
    rows = folder.grade_all(submissions, tmp_path / "out", experiment, jobs=3, level=sandbox.PROCESS)
    assert [row["score"] for row in rows] == [1, 0, 1]
    assert "status 7" in rows[1]["problem"] and rows[1]["flags"]


def test_an_interrupted_class_goes_on_where_it_was(submissions, tmp_path):
    program = f"""
import sys, time
sys.path.insert(0, {str(ROOT / "tests")!r})
from helpers.grading import folder, sandbox
from helpers.grading.experiments import Check, Experiment, Result
def check(worker, draw):
    time.sleep(600 if "a - b" in worker._cells[0][1] else 0)
folder.grade_all({str(submissions)!r}, {str(tmp_path / "out")!r}, Experiment("s", "S", "s", 900, ("add",), [Check("s", 1, check)]), level=sandbox.PROCESS)
"""
    submit(submissions / "ben.ipynb", cases.WRONG_ADD)
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE)
    try:
        until = time.monotonic() + 120
        while not list((tmp_path / "out").glob("submissions/ada*.json")) and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        process.wait(30)
    finally:
        process.kill()
        process.stderr.close()
    assert ("ada.ipynb", "1") in table(tmp_path / "out") and len(table(tmp_path / "out")) < 3


def test_the_shares_of_several_machines_become_one_table(submissions, tmp_path):
    given = {"experiment": first_says("one"), "level": sandbox.PROCESS, "seed": 1}
    whole = tmp_path / "whole"
    for share in (1, 2):
        rows = folder.grade_all(submissions, tmp_path / f"share {share}", part=(share, 2), **given)
        assert [row["file"] for row in rows] == [["ada.ipynb", "eva.ipynb"], ["ben.ipynb"]][share - 1]
        shutil.copytree(tmp_path / f"share {share}" / "submissions", whole / "submissions", dirs_exist_ok=True)
    before = {path: path.stat().st_mtime_ns for path in whole.glob("submissions/*")}
    folder.grade_all(submissions, whole, **given)
    assert table(whole) == [("ada.ipynb", "1"), ("ben.ipynb", "1"), ("eva.ipynb", "1")]
    assert {path: path.stat().st_mtime_ns for path in whole.glob("submissions/*")} == before, "nothing is graded again"


def test_the_pages_are_read_without_network_and_in_the_dark(submissions, tmp_path):
    out = tmp_path / "out"
    folder.grade_all(submissions, out, first_says("<b>bold</b> & more"), level=sandbox.PROCESS, jobs=3)
    for page in [out / "index.html", *out.glob("submissions/*.html")]:
        content = page.read_text(encoding="utf-8")
        assert "http:" not in content and "https:" not in content and "prefers-color-scheme: dark" in content
        assert "<b>bold" not in content
    assert "&lt;b&gt;bold&lt;/b&gt;" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("look", ["light", "dark"])
def test_a_report_is_accessible_and_fits_a_phone(submissions, tmp_path, browser, look):  # noqa: F811
    out = tmp_path / "out"
    submit(submissions / "ben.ipynb", cases.WRONG_ADD)
    submit(submissions / "eva.ipynb", cases.ADD, "%matplotlib inline", "import sys\nsys.modules['torch'] = None")
    folder.grade_all(submissions, out, experiments.FUNCTIONS, level=sandbox.PROCESS, jobs=3)
    tab = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme=look)
    for page in [out / "index.html", *out.glob("submissions/*.html")]:
        tab.goto(page.as_uri())
        tab.evaluate(axe())
        assert tab.evaluate(AXE) == []
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    tab.close()
