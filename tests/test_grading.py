"""The grader with honest submissions: what it reads, what it runs, what it says, and how it deals with a class."""

import csv
import functools
import gc
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch
import torch.nn.functional as F
from hostile import cases, experiments
from hypothesis import given, settings
from hypothesis import strategies as st
from test_pages import AXE, axe, browser  # noqa: F401 (browser is a fixture)

from helpers.grading import __main__ as command
from helpers.grading import child, folder, judge, report, rules, sandbox, selection, submission, wire
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


def test_what_only_runs_the_answers_is_not_chosen_though_it_gives_a_value_that_they_use(tmp_path):
    selected = chosen(tmp_path, ["train"], "history = []", "def train():\n    history.append(1)", "def run():\n    return train()",
                      "history = run()", "history = [train() for _ in range(3)]", "history.append(train())")  # fmt: skip
    assert [statement.cell for statement in selected.statements] == [1, 2]
    assert len(chosen(tmp_path, ["train"], "def train():\n    return history", "history = train()").statements) == 2


def test_layers_made_in_a_list_are_chosen_though_they_call_an_answer(tmp_path):
    sources = "class Layer:\n    pass", "layers = []\nlayers.append(Layer())", "class Net:\n    parts = layers"
    assert len(chosen(tmp_path, ["Layer", "Net"], *sources).statements) == 4


def test_a_call_that_sets_a_global_name_is_chosen_and_so_is_setattr(tmp_path):
    selected = chosen(tmp_path, ["f"], "def setup():\n    global size\n    size = 3", "setup()", "def f():\n    return size",
                      "setattr(f, 'name', 'f')")  # fmt: skip
    assert len(selected.statements) == 4


def test_more_statements_than_any_notebook_has_are_refused(tmp_path):
    with pytest.raises(submission.Unreadable, match="5,000 statements"):
        chosen(tmp_path, ["f"], "x = 1\n" * 5001)


def test_a_name_that_nothing_defines_is_told(tmp_path):
    assert chosen(tmp_path, ["f"], "def f():\n    return helper()").missing == ["helper"]


def test_a_cell_that_is_not_python_is_told_with_its_line(tmp_path):
    assert chosen(tmp_path, ["f"], "x = 1", "a = 1\nfor x in").broken[2].startswith("line 2")


def test_a_cell_of_a_thousand_magics_is_read_as_it_stands(tmp_path):
    handed_in = submission.read(submit(tmp_path / "one.ipynb", "x = %time 1\n" * 1000, "x = %time 1"))
    assert handed_in.cells[0].source == "x = %time 1\n" * 1000 and "get_ipython" in handed_in.cells[1].source
    assert "Cell 1: more than 100 lines look like magics" in handed_in.notices[0]


def test_notebooks_may_be_read_in_several_threads_at_once(tmp_path):
    """Hypothesis has Python code run at each collection; there a thread can lose its turn in the middle of a tree."""
    handed_in = submission.read(submit(tmp_path / "one.ipynb", *["x = (a + b(1))[c.d] if e else [f for f in g]\n" * 40] * 3))
    interval, threshold = sys.getswitchinterval(), gc.get_threshold()

    def at_each_collection(phase, about):
        for _ in range(50):
            pass

    gc.callbacks.append(at_each_collection)
    try:
        sys.setswitchinterval(1e-6)
        gc.set_threshold(100, 10, 10**6)
        with ThreadPoolExecutor(2) as pool:
            every = list(pool.map(lambda _: selection.statements(handed_in), range(80)))
    finally:
        gc.callbacks.remove(at_each_collection)
        sys.setswitchinterval(interval)
        gc.set_threshold(*threshold)
    assert all(len(found) == 120 and not broken for found, broken in every)


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
        "self.__class__.__name__", "super().__init__()", "sys.path.append('..')", "np.random.seed(0)", "gc.collect()",
        "'google.colab' in sys.modules", "getattr(torch.optim, x)(input)", "[getattr(x, n) for n, _ in x.named_children()]",
        "multiprocessing.cpu_count()", "nn.init._calculate_fan_in_and_fan_out(x)", "[conv1d for conv1d in x]",
        "[pad.shape for pad in x]",
    ],
)  # fmt: skip
def test_honest_code_is_not_suspected(tmp_path, body):
    source = f"{cases.IMPORTS}\nimport gc, multiprocessing, os, sys, PIL\nimport torch.utils.data\nimport numpy as np\nfrom torch.nn.functional import *\nfrom torch.nn.functional import conv1d as pad\ndef conv2d(x):\n    return x\ndef f(self, x, input=1):\n    return {body}"
    given = experiments.load("conv2d")
    assert not findings(tmp_path, source, forbidden=given.forbidden, watched=True)


@pytest.mark.parametrize(
    "body",
    [
        "exec('x')", "eval('x')", "sys.modules", "sys._getframe()", "f.__globals__", "().__class__.__base__", "getattr(f, x)",
        "torch.sys.modules", "gc.get_objects()", "getattr(torch, x)(x)", "[getattr(f, n) for n, _ in x.named_children()]",
        "len(sys.modules)", "warnings.sys.modules", "getattr(f, '__glo' + 'bals__')", "map(getattr, x)", "globals()['x']",
    ],
)  # fmt: skip
def test_code_that_reaches_into_the_interpreter_is_suspect(tmp_path, body):
    source = f"{cases.IMPORTS}\nimport gc, sys, warnings\ndef f(x):\n    return {body}"
    assert {kind for kind, _ in findings(tmp_path, source)} == {"suspect"}


def test_a_function_put_in_the_place_of_torchs_is_suspect(tmp_path):
    assert findings(tmp_path, f"{cases.IMPORTS}\ndef f(x):\n    torch.allclose = x") == [
        ("suspect", "torch.allclose is replaced")
    ]


def test_only_allowed_packages_may_be_imported_where_there_is_a_list(tmp_path):
    source = "import torch\nimport scipy.signal\ndef f(x):\n    return torch, scipy.signal"
    assert ("forbidden", "import scipy.signal") in findings(tmp_path, source, allowed_imports=("torch",))


def test_data_in_the_code_is_suspect_and_a_small_table_is_not(tmp_path):
    for table, kinds in ((list(range(2500)), ["suspect"]), ("x" * 25_000, ["suspect"]), (b"x" * 25_000, ["suspect"]),
                         (2**100_000, ["suspect"]), (list(range(500)), []), ("x" * 5000, [])):  # fmt: skip
        assert [kind for kind, _ in findings(tmp_path, f"TABLE = {hex(table) if isinstance(table, int) else table!r}\ndef f():\n    return TABLE")] == kinds


# What does not run


def in_a_process_of_its_own(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:-1]


def test_an_operator_that_is_refused_never_runs_again():
    assert in_a_process_of_its_own("""
import gc
import torch
from helpers.grading import refusal
from helpers.grading.experiments import conv2d
images, weight = torch.rand(1, 2, 5, 5), torch.rand(3, 2, 3, 3)
tried = refusal.operators(conv2d.EXPERIMENT.forbidden_operators)
F, aten, ways = torch.nn.functional, torch.ops.aten, 0
def refused(call):
    global ways
    try:
        call()
    except RuntimeError as error:
        assert "does not run here" in str(error), error
        ways += 1
refused(lambda: F.conv2d(images, weight))
refused(lambda: F.conv2d(images, weight.requires_grad_(), padding="same"))
refused(lambda: F.conv_transpose2d(images, weight.transpose(0, 1)))
refused(lambda: F.unfold(images, 3))
refused(lambda: torch.convolution(images, weight, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1))
refused(lambda: aten._slow_conv2d_forward(images, weight, [3, 3], None, [1, 1], [0, 0]))
refused(lambda: aten.mkldnn_convolution(images, weight, None, [0, 0], [1, 1], [1, 1], 1))
refused(lambda: torch.ops.mkldnn._convolution_pointwise(images, weight, None, [0, 0], [1, 1], [1, 1], 1, "none", [], ""))
refused(lambda: torch.nn.grad.conv2d_input((1, 2, 5, 5), weight, torch.rand(1, 3, 3, 3)))
refused(lambda: torch.inference_mode()(F.conv2d)(images, weight))
refused(lambda: torch.vmap(lambda image: F.conv2d(image, weight))(images[None]))
refused(lambda: torch.autocast("cpu", torch.bfloat16)(F.conv2d)(images, weight))
refused(lambda: torch.library.get_kernel("aten::convolution", "CPU").call_boxed(
    torch._C.DispatchKeySet(torch._C.DispatchKey.CPU), images, weight, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1))
import torchvision
refused(lambda: torchvision.ops.deform_conv2d(images, torch.zeros(1, 18, 3, 3), weight))
assert ways == 14 and tried["conv2d"] >= 2, (ways, tried)
# Nobody holds the registration, and one of one's own on top of it, taken back, leaves it as it was.
assert not [each for each in gc.get_objects() if type(each).__name__ == "_DispatchModule"]
mine = torch.library.Library("aten", "IMPL")
for name in ("conv2d", "convolution"):
    mine.impl(name, lambda *_: "mine", "CPU")
mine._destroy()
del mine
gc.collect()
refused(lambda: F.conv2d(images, weight))
refused(lambda: torch.convolution(images, weight, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1))
assert ways == 16
assert F.linear(images, torch.rand(4, 5)).shape == (1, 2, 5, 4) and images.unfold(2, 3, 1).shape == (1, 2, 3, 5, 3)
print("done")
""") == ["done"]  # fmt: skip


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a filter of Linux")
def test_where_programs_are_refused_none_is_started_and_threads_and_forks_go_on():
    assert in_a_process_of_its_own("""
import multiprocessing, os, subprocess, threading
from helpers.grading import refusal
told, said = threading.Event(), []
def start():
    told.wait(30)
    try:
        subprocess.run(["/bin/true"])
    except PermissionError:
        said.append("refused")
thread = threading.Thread(target=start)
thread.start()
refusal.programs()
told.set()
thread.join()
start()
child = multiprocessing.get_context("fork").Process(target=start)
child.start()
child.join()
assert said == ["refused"] * 2 and child.exitcode == 0 and os.system("true") != 0
print("done")
""") == ["done"]  # fmt: skip


def test_helpers_that_hold_answers_are_empty_and_forbidden_functions_refuse():
    assert in_a_process_of_its_own("""
from helpers.grading import refusal
refusal.modules(("helpers.training.fit", "helpers.conv", "torch.hub"))
from helpers import mnist, plotting, pooling, receptive_field, training, transformations
for call in (lambda: pooling.windows, lambda: receptive_field.Conv2D, lambda: training.fit(1, 2)):
    try:
        call()
    except (ImportError, RuntimeError) as error:
        print(error)
assert training.evaluate and training.seed_everything and plotting.Figure
""") == ["helpers.pooling is not there while a notebook is graded",
         "helpers.receptive_field is not there while a notebook is graded",
         "helpers.training.fit does not run here: this is to be your own code"]  # fmt: skip


def test_a_network_that_does_not_use_the_layer_it_should_is_not_counted(tmp_path):
    check = Check("network", 1, lambda worker, draw: worker.build("Net") and None, ("Net",), uses=("Layer",))
    experiment = Experiment("one", "One", "one", 90, ("Net", "Layer"), [check])
    layer, child = "class Layer(nn.Module):\n    pass", "class Child(Layer):\n    pass"
    net = "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.layer = {}()"
    for used, score in (("Layer", 1), ("Child", 1), ("nn.ReLU", 0)):
        path = submit(tmp_path / "one.ipynb", cases.IMPORTS, layer, child, net.format(used))
        grade = judge.grade(path, experiment, level=sandbox.PROCESS, threads=1)
        assert grade.score == score
        assert score or "Net does not use your Layer" in grade.checks[0].message


def test_the_notes_on_a_training_hang_on_no_object_that_its_hooks_lead_to(tmp_path):
    def check(worker, draw):
        training = worker.build("Net").train(torch.ones(4, 3))
        assert [step.training for step in training.steps] == [False] and training.returned == []

    grade = ask(tmp_path, check, "class Net(nn.Linear):\n    def __init__(self):\n        super().__init__(3, 3)",
                "def train(model, images):\n    model.eval()\n    model(images).sum().backward()\n"
                "    hooks = [*model._forward_pre_hooks.values(), *model.weight._backward_hooks.values()]\n"
                "    return [name for hook in hooks for name in dir(hook) if name in ('__self__', 'args', 'func')]")  # fmt: skip
    assert grade.score == 1, grade.checks


def test_weights_brought_along_are_held_back_and_labels_are_dealt_anew(monkeypatch):
    from helpers.grading.experiments import mnist_cnn

    images, labels = torch.arange(1000.0)[:, None, None, None].expand(1000, 1, 28, 28) % 10, torch.arange(1000) % 10
    monkeypatch.setattr(mnist_cnn, "digits", lambda split: (images, labels))
    monkeypatch.setattr(mnist_cnn, "_unseen", lambda draw: (images, labels))
    layers = iter("aaaab")  # before and after each training; not after that of a network that knew the digits

    class Network:
        def __init__(self, known):
            self.known, self.names = known, torch.zeros(10).long()

        def predict(self, images):
            digit = images[:, 0, 0, 0].long()
            return F.one_hot(self.names[digit] if not self.known else digit, 10).float()

        def structure(self, example):
            return SimpleNamespace(layers=[SimpleNamespace(kind=next(layers))])

        def train(self, images, labels, *_, **__):
            self.names[images[:, 0, 0, 0].long()] = labels
            return SimpleNamespace(seconds=1, stopped=False)

    run = mnist_cnn.trained(None, 1, 0.9, 0.5)
    draw = torch.Generator().manual_seed(1)
    found = [run(SimpleNamespace(build=lambda *_, **__: Network(known)), draw) for known in (False, True, False)]
    assert [(each.fraction, each.hold) for each in found] == [(1, False), (0, True), (1, True)]
    assert "before it was trained" in found[1].message and "other layers" in found[2].message


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
    st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.bool, torch.complex64]),
    st.lists(st.integers(0, 3), max_size=4),
)
@settings(max_examples=50)
def test_tensors_arrive_with_shape_and_type(dtype, shape):
    tensor = (torch.randn(shape) * 3).to(dtype)
    arrived = sent({"tensor": tensor})["tensor"]
    assert arrived.dtype == dtype and arrived.shape == tensor.shape and torch.equal(arrived, tensor)


def test_numbers_of_numpy_arrive_as_pythons_own():
    arrived = sent([np.mean([0.5, 1]), np.float32(0.25), np.int64(3), np.bool_(True)])
    assert [(type(each), each) for each in arrived] == [(float, 0.75), (float, 0.25), (int, 3), (bool, True)]


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


STEPS = {
    "forward": "for _ in range(3):\n        optimizer.zero_grad()\n        F.cross_entropy(model.forward(images), labels).backward()\n"
    "        optimizer.step()",
    "evaluation": "for _ in range(3):\n        optimizer.zero_grad()\n        loss = F.cross_entropy(model(images), labels)\n"
    "        model.eval()\n        loss.backward()\n        optimizer.step()\n        model.train()",
    "functional": "weights = {name: weight.detach() for name, weight in model.named_parameters()}\n"
    "    loss = lambda weights: F.cross_entropy(torch.func.functional_call(model, weights, (images,)), labels)\n"
    "    for _ in range(3):\n        gradients = torch.func.grad(loss)(weights)\n"
    "        weights = {name: weights[name] - 0.1 * gradients[name] for name in weights}\n    model.load_state_dict(weights)",
    "nothing": "for _ in range(3):\n        loss = F.cross_entropy(model(images), labels)\n        optimizer.step()",
}


def test_a_training_is_seen_however_it_is_written(tmp_path):
    def check(worker, draw):
        images, labels = torch.randn(10, 3, generator=draw), torch.zeros(10).long()
        for name in STEPS:
            training = worker.build("Net", seed=1, example=images).train(images, labels, function=name)
            assert [(step.training, step.stale) for step in training.steps] == [(True, False)] * 3 * (name != "nothing"), name

    grade = ask(tmp_path, check, "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
                "        self.unused, self.linear = nn.Linear(1, 8), nn.LazyLinear(4)\n        del self.unused.bias\n"
                "    def forward(self, x):\n        return self.linear(x)",
                *(f"def {name}(model, images, labels):\n    model.train()\n"
                  f"    {'' if name == 'functional' else 'optimizer = torch.optim.SGD(model.parameters(), 0.1)'}\n    {body}"
                  for name, body in STEPS.items()), names=("Net", *STEPS))  # fmt: skip
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


def test_what_is_not_filled_in_is_told_apart_from_what_is_wrong(tmp_path):
    def calls(name):
        return lambda worker, draw: worker.call(name)

    checks = [Check("one", 5, calls("f"), ("f",)), Check("two", 5, calls("g"), ("g",)), Check("three", 0, calls("h"), ("h",))]
    experiment = Experiment("one", "One", "one", 90, ("f", "g", "h"), checks)
    path = submit(tmp_path / "one.ipynb", "def f():\n    raise NotImplementedError", "def g():\n    return f()", "def h():\n    return 1 / 0")
    said = report.text(judge.grade(path, experiment, level=sandbox.PROCESS, threads=1).as_dict())
    assert "– one         0/5  Not filled in yet (cell 1, line 2, in f)." in said
    assert "– two" in said and "→ This calls f: first fill in “one”." in said
    assert "✗ three  optional  Your code raised ZeroDivisionError" in said and "Cells are counted from the top" in said


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
        (tmp_path, "--out", tmp_path): "a folder of their own",
        (tmp_path, "--out", tmp_path.parent): "a folder of their own",
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
    def check(worker, draw):
        if worker.call("add", torch.ones(1), torch.ones(1)) != 2:
            os._exit(7)

    submit(submissions / "ben.ipynb", cases.WRONG_ADD)
    experiment = Experiment("dies", "Dies", "dies", 60, ("add",), [Check("dies", 1, check)])
    rows = folder.grade_all(submissions, tmp_path / "out", experiment, jobs=3, level=sandbox.PROCESS)
    assert [row["score"] for row in rows] == [1, 0, 1]
    assert "status 7" in rows[1]["problem"] and rows[1]["flags"]


def test_a_grader_that_does_not_end_is_stopped_and_has_a_row_that_says_so(submissions, tmp_path, monkeypatch):
    def check(worker, draw):
        time.sleep(600 if "a - b" in worker._cells[0][1] else 0)

    monkeypatch.setattr(child, "MARGIN", 9)
    submit(submissions / "ben.ipynb", cases.WRONG_ADD)
    experiment = Experiment("sleeps", "Sleeps", "sleeps", 1, ("add",), [Check("sleeps", 1, check)])
    given = {"jobs": 3, "level": sandbox.PROCESS, "seed": 1}
    rows = folder.grade_all(submissions, tmp_path / "out", experiment, **given)
    assert [(row["score"], row["max"]) for row in rows] == [(1, 1), (0, 1), (1, 1)]
    assert "took longer than 10 seconds and was stopped" in rows[1]["problem"] and rows[1]["flags"]
    assert "was stopped" in (tmp_path / "out" / rows[1]["page"]).read_text(encoding="utf-8")
    awake = Experiment("sleeps", "Sleeps", "sleeps", 1, ("add",), [Check("sleeps", 1, lambda worker, draw: None)])
    rows = folder.grade_all(submissions, tmp_path / "out", awake, **given)
    assert [row["score"] for row in rows] == [1, 1, 1], "what the grader failed on is tried again"


def test_any_name_any_link_and_what_cannot_be_read_has_a_row(submissions, tmp_path):
    out = tmp_path / "out"
    (out / "submissions").mkdir(parents=True)
    (out / "submissions" / "kept.txt").write_text("kept")
    (submissions / "loop.ipynb").symlink_to("loop.ipynb")
    (submissions / "to the reports.ipynb").symlink_to(out / "submissions" / "kept.txt")
    shutil.copy(submissions / "ada.ipynb", submissions / "a;=1+1;-1;.ipynb")
    (submissions / "no file;=1+1.ipynb").mkdir()
    for name in (b"\xff.ipynb", b"\xfe.ipynb"):  # of no encoding, and both fail
        submit(Path(os.fsdecode(os.path.join(os.fsencode(submissions), name))), cases.WRONG_ADD)
    (submissions / "secret.ipynb").write_text(RIGHT)
    (submissions / "secret.ipynb").chmod(0)
    (submissions / "secrets").mkdir(0)
    opens = os.access(submissions / "secret.ipynb", os.R_OK)  # a superuser can read it all the same

    def check(worker, draw):
        if "a - b" in worker._cells[0][1]:
            os._exit(7)

    experiment = Experiment("dies", "Dies", "dies", 60, ("add",), [Check("dies", 1, check)])
    rows = folder.grade_all(submissions, out, experiment, jobs=3, level=sandbox.PROCESS)
    (submissions / "secrets").chmod(0o700)
    found = {row["file"]: (row["score"], row["problem"]) for row in rows}
    assert len(found) == 11 and len({row["page"] for row in rows}) == 11
    assert all("links are not followed" in found[name][1] for name in ("loop.ipynb", "to the reports.ipynb"))
    assert all("status 7" in found[name][1] for name in ("\udcff.ipynb", "\udcfe.ipynb"))
    assert found["secret.ipynb"][0] == opens and (opens or "Permission denied" in found["secret.ipynb"][1])
    assert len(table(out)) == 11 and ("\\udcff.ipynb", "0") in table(out)
    for separator in ",;\t":
        with open(out / "grades.csv", newline="", encoding="utf-8") as file:
            cells = [cell for row in csv.reader(file, delimiter=separator) for cell in row]
        assert not [cell for cell in cells if cell.strip().startswith(("=", "+", "-", "@"))]
    before = {path: path.stat().st_mtime_ns for path in (out / "submissions").glob("*.json")}
    folder.grade_all(submissions, out, experiment, jobs=3, level=sandbox.PROCESS)
    again = [path for path, when in before.items() if path.stat().st_mtime_ns != when]
    assert len(again) == 2, "only what the grader failed on"


def test_reports_inside_of_the_submissions_take_nobodys_row(submissions):
    (submissions / "fay").mkdir()
    (submissions / "fay" / "mine.ipynb").write_text(RIGHT)
    for out in (submissions / "reports" / "of today", submissions / "fay"):
        for _ in range(2):
            rows = folder.grade_all(submissions, out, first_says("one"), jobs=4, level=sandbox.PROCESS, seed=1)
            assert [row["file"] for row in rows if row["file"] != "reports"] == [
                "ada.ipynb", "ben.ipynb", "eva.ipynb", "fay/mine.ipynb",
            ]  # fmt: skip


def test_a_full_disk_ends_in_one_line_and_leaves_no_unfinished_file(submissions, tmp_path):
    import resource

    program = f"""
import os, sys
from helpers.grading import __main__, sandbox
sandbox.best_level = lambda: ("process", "")
sys.exit(__main__.main([{str(submissions)!r}, "--out", {str(tmp_path / "out")!r}, "--experiment", "conv2d", "--unsafe"]))
"""
    (submissions / "ada.ipynb").write_text("{")  # read, not run: quick
    (submissions / "ben.ipynb").unlink()
    (submissions / "eva.ipynb").unlink()

    def start(largest):  # a limit for the size of a file fails where a full disk does, in the middle of writing
        limit = functools.partial(resource.setrlimit, resource.RLIMIT_FSIZE, (largest, largest)) if largest else None
        return subprocess.run([sys.executable, "-c", program], preexec_fn=limit, capture_output=True, text=True,
                              env=os.environ | {"TQDM_DISABLE": "1"}, timeout=120)  # fmt: skip

    full = start(1000)
    assert full.returncode == 1 and full.stderr.count("\n") == 1, full.stderr
    assert "File too large" in full.stderr and "goes on from there" in full.stderr
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()] in ([], ["grades.csv"])
    assert not (tmp_path / "out" / "grades.csv").exists() or table(tmp_path / "out") == []
    assert start(None).returncode == 0 and table(tmp_path / "out") == [("ada.ipynb", "0")]


def test_two_hundred_submissions_survive_a_kill_and_make_a_page_that_can_be_used(tmp_path, browser):  # noqa: F811
    submissions, out = tmp_path / "submissions", tmp_path / "out"
    submissions.mkdir()
    for number in range(200):
        submit(submissions / f"{'Person' if number % 2 else 'person'} {number:03}.ipynb", cases.ADD, f"# {number}")
    program = f"""
import sys, time
from pathlib import Path
from helpers.grading import folder, sandbox
from helpers.grading.experiments import Check, Experiment
def check(worker, draw):
    # From the twentieth report on graders sleep, so that the kill finds all four at work.
    time.sleep(600 if len(list(Path({str(out)!r}).glob("submissions/*.json"))) >= 20 else 0.1)
folder.grade_all({str(submissions)!r}, {str(out)!r}, Experiment("word", "Word", "word", 60, ("add",), [Check("word", 1, check)]),
                 jobs=4, seed=1, level=sandbox.PROCESS)
"""
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    try:
        parent, seen, graders = psutil.Process(process.pid), [], []
        until = time.monotonic() + 300
        # The same four for a second: some of those that began before the twentieth report still end.
        while not (len(list(out.glob("submissions/*.json"))) >= 20 and len(graders) == 4 and graders == seen):
            assert process.poll() is None and time.monotonic() < until, "four graders at work were never seen"
            time.sleep(1)
            seen, graders = graders, parent.children()
        graders = parent.children(recursive=True)
    finally:
        process.kill()
        process.wait()
    alive = psutil.wait_procs(graders, timeout=60)[1]
    for each in alive:
        each.kill()
    assert not alive, "a grader whose parent was killed ends too"
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("submissions/*.json")}
    assert 20 <= len(before) < 200

    rows = folder.grade_all(submissions, out, first_says("one"), jobs=4, seed=1, level=sandbox.PROCESS)
    names = [f"{'Person' if number % 2 else 'person'} {number:03}.ipynb" for number in range(200)]
    assert sorted(row["file"] for row in rows) == sorted(names) and [row["score"] for row in rows] == [1] * 200
    assert before.items() <= {path.name: path.stat().st_mtime_ns for path in out.glob("submissions/*.json")}.items()
    assert len(list(out.glob("submissions/*"))) == 400 and table(out) == [(row["file"], "1") for row in rows]

    tab = browser.new_page(viewport={"width": 390, "height": 800})
    tab.goto((out / "index.html").as_uri())
    shown = tab.locator("tbody th").all_inner_texts()
    assert shown == sorted(names, key=str.casefold)
    addresses = tab.locator("tbody a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    assert len(set(addresses)) == 200 and all((out / address).is_file() for address in addresses)
    tab.evaluate(axe())
    assert tab.evaluate(AXE) == []
    tab.get_by_text("person 198.ipynb", exact=True).click()
    assert "person 198" in tab.inner_text("body")
    tab.close()


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
    (submissions / "fay.ipynb").write_text("{")
    folder.grade_all(submissions, out, experiments.FUNCTIONS, level=sandbox.PROCESS, jobs=3)
    assert "1 for a person to look at" in (out / "index.html").read_text(encoding="utf-8")
    tab = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme=look)
    for page in [out / "index.html", *out.glob("submissions/*.html")]:
        tab.goto(page.as_uri())
        tab.evaluate(axe())
        assert tab.evaluate(AXE) == []
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    tab.close()
