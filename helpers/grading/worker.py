"""The process in which the learner's code runs: it answers one request after the other, and is believed in nothing.

It is started by :mod:`helpers.grading.sandbox` and speaks :mod:`helpers.grading.wire` over what were its standard input
and output; what the learner's code prints goes to its standard error.
"""

import contextlib
import linecache
import os
import signal
import sys
import time
import types
from collections import Counter

import torch

from helpers.grading import refusal, stand_in, tape, watch, wire


class TimeIsUp(BaseException):
    """Raised inside of the learner's code when its time is over."""


class ArgumentChanged(Exception):
    """The learner's function wrote into a tensor that it was given."""


class Worker:
    """Holds the learner's names and networks; each public method is one request."""

    def __init__(self):
        self.module = types.ModuleType("__main__")
        self.networks = []
        self.tried = Counter()

    def refuse(self, operators, names):
        """Make impossible what the learner's code must not use; see :mod:`helpers.grading.refusal`."""
        refusal.modules(names)
        self.tried = refusal.operators(operators)
        if operators:
            refusal.programs()

    def load(self, cells, mnist):
        """Run the chosen statements of each cell: ``[[number, source, [index of statement, ...]], ...]``."""
        import __future__
        import ast

        if mnist:
            stand_in.install()
        if any("optim" in source for _, source, _ in cells):
            import torch._dynamo  # noqa: F401 - an optimizer's first step would import it, in the learner's time
        # Classes are found through the module's name, by pickle and by dataclasses.
        sys.modules["__main__"] = self.module
        space = vars(self.module)
        space["display"], space["get_ipython"] = (lambda *values, **_: print(*values)), (lambda: None)
        errors, flags, end = [], 0, time.monotonic() + LOADING
        for number, source, chosen in cells:
            file = f"<cell {number}>"
            linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
            body = ast.parse(source).body
            for index in chosen:
                if isinstance(body[index], ast.ImportFrom) and body[index].module == "__future__":
                    for each in body[index].names:
                        flags |= getattr(getattr(__future__, each.name, None), "compiler_flag", 0)
                # A value that takes long is left out, and what came before it stays: a training, most often.
                slow = not isinstance(body[index], (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef))
                left = max(0.1, end - time.monotonic())
                try:
                    with time_limit(min(left, STATEMENT) if slow else left):
                        code = compile(ast.Module([body[index]], []), file, "exec", flags, dont_inherit=True)
                        exec(code, space)  # noqa: S102 - what it is for
                except BaseException as error:  # SystemExit and its like, too
                    errors.append(describe(error))
                    if isinstance(error, TimeIsUp) and time.monotonic() > end:
                        raise
        return errors

    def defined(self, names):
        """Say which of the names exist."""
        return [name for name in names if name in vars(self.module)]

    def call(self, name, arguments, settings):
        """Call a function by name."""
        tensors = [each for each in arguments if isinstance(each, torch.Tensor)]
        before = [tensor.clone() for tensor in tensors]
        value = vars(self.module)[name](*arguments, **settings)
        if not all(map(torch.equal, tensors, before)):
            raise ArgumentChanged
        return value

    def build(self, name, arguments, settings, seed, state, example=None):
        """Make an object of a class by name, with these weights; gives its handle.

        Lazy layers (``nn.LazyLinear``) get their weights from a pass of ``example``.
        """
        if seed is not None:
            torch.manual_seed(seed)
        network = vars(self.module)[name](*arguments, **settings)
        if not isinstance(network, torch.nn.Module):
            raise TypeError(f"{name}(...) gave an object of {type(network).__name__}, which is not a torch.nn.Module")
        lazy = torch.nn.parameter.is_lazy
        if example is not None and any(map(lazy, [*network.parameters(), *network.buffers()])):
            mode = network.training
            with torch.no_grad():
                network.eval()(example)
            network.train(mode)
        self.networks.append(network)
        if state is not None:
            network.load_state_dict(state)
        return len(self.networks) - 1

    def state(self, network):
        """Parameters and buffers by name."""
        return {name: value.detach().clone() for name, value in network.state_dict().items()}

    def set_state(self, network, state):
        """Load parameters and buffers."""
        network.load_state_dict(state)

    def mode(self, network):
        """Whether it is in training mode."""
        return network.training

    def forward(self, network, inputs, gradient, training):
        """One pass; with ``gradient``, backward too: output, gradients of inputs and of parameters."""
        network.train(training)
        network.zero_grad(set_to_none=True)
        inputs = [
            each.requires_grad_() if each.is_floating_point() and gradient is not None else each for each in inputs
        ]
        with contextlib.nullcontext() if gradient is not None else torch.no_grad():
            output = network(*inputs)
        if gradient is not None:
            output.backward(gradient)
        return {
            "output": output,
            "input_gradients": [each.grad for each in inputs],
            "gradients": {name: weight.grad for name, weight in network.named_parameters()},
        }

    def train(self, network, function, arguments, settings, seconds, seed):
        """Let the learner's function train a network; when the time is over it keeps what it has learned."""
        if seed is not None:
            torch.manual_seed(seed)
        stopped, returned = False, None
        stop_watching, before = watch.training(network), len(stand_in.loaded)
        try:
            with time_limit(seconds):
                returned = vars(self.module)[function](network, *arguments, **settings)
        except TimeIsUp:
            stopped = True
        return {"stopped": stopped, "returned": returned, "steps": stop_watching(), "loaded": stand_in.loaded[before:]}

    def predict(self, network, images, batch_size, training):
        """The network's output for every image."""
        mode = network.training
        network.train(training)
        with torch.no_grad():
            output = torch.cat([network(batch) for batch in images.split(batch_size)])
        network.train(mode)
        return output

    def record(self, network, example):
        """One pass as a tape, see :mod:`helpers.grading.tape`."""
        mode = network.training
        network.eval()
        state = {f"state.{name}": value for name, value in network.state_dict(keep_vars=True).items()}
        with torch.no_grad(), tape.Tape({"input": example} | state) as recorded:
            output = network(example)
        network.train(mode)
        return {
            "steps": recorded.steps,
            "constants": recorded.constants,
            "state": {name: value.detach() for name, value in state.items()},
            "parameters": [f"state.{name}" for name, _ in network.named_parameters(remove_duplicate=False)],
            "output": recorded.write(output)["ref"],
        }

    def play(self, recorded, images):
        """Run a tape that another worker recorded."""
        tensors = {**recorded["state"], **recorded["constants"], "input": images}
        return tape.play(recorded["steps"], tensors, recorded["output"])

    def respond(self, recorded, images, questions):
        """Run it with other numbers in the middle: a list for each ``[step, numbers, asked]``, see :func:`tape.respond`."""
        tensors = {**recorded["state"], **recorded["constants"], "input": images}
        return [tape.respond(recorded["steps"], tensors, recorded["output"], *question) for question in questions]


LOADING = 30  # seconds for the notebook's statements together
STATEMENT = 10  # seconds for one that is neither an import nor a definition

# Requests that are timed and watched by themselves.
UNWATCHED = {"refuse", "train", "predict", "load", "record", "play", "respond"}


@contextlib.contextmanager
def time_limit(seconds):
    """Raise TimeIsUp inside when the time is over, again and again, for code that swallows it (not on Windows)."""
    if not seconds or not hasattr(signal, "setitimer"):
        yield
        return

    def ring(number, frame):
        raise TimeIsUp

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def describe(error):
    """An error as three short texts: kind, what it says, and the last place in the notebook it came through."""
    place, trace = "", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file.startswith("<cell "):
            name = trace.tb_frame.f_code.co_name
            place = f"{file[1:-1]}, line {trace.tb_lineno}" + (f", in {name}" if name != "<module>" else "")
        trace = trace.tb_next
    try:
        kind, text = str(type(error).__name__)[:100], str(error)[:600]
    except BaseException:  # noqa: BLE001 - an error that cannot even be printed
        kind, text = "an error", "that cannot be printed"
    return [kind, text, place]


def main():
    """Answer requests until the line closes."""
    if limit := os.environ.get("GRADING_PROCESSES"):
        # Here, in the sandbox, the number counts its own processes and threads; outside, all of the user's.
        import resource

        resource.setrlimit(resource.RLIMIT_NPROC, (int(limit), int(limit)))
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    worker = Worker()
    handles = lambda value: next((n for n, network in enumerate(worker.networks) if network is value), None)
    wire.write(answers, {"token": "ready"})
    while (request := wire.read(requests, 2**40, modules=lambda handle: worker.networks[handle])) is not None:
        answer, operators = {"token": request["token"], "error": None, "value": None}, watch.Operators()
        watched = request["do"] not in UNWATCHED
        try:
            with time_limit(None if request["do"] in ("train", "load") else request["seconds"]):
                with operators if watched else contextlib.nullcontext():
                    value = getattr(worker, request["do"])(**request["with"])
                # Here and not while it is sent: an answer may have code of its own, which takes time and may fail.
                answer["value"] = wire.Packed(value, handles)
        except TimeIsUp:
            answer["error"] = ["TimeIsUp", "", ""]
        except BaseException as error:  # noqa: BLE001 - nothing that the learner's code raises ends the worker
            answer["error"] = describe(error)
        ran = operators.count + worker.tried if request["do"] != "load" else {}
        worker.tried.clear()
        answer |= {"operators": dict(ran), "loaded": stand_in.loaded[:20]}
        wire.write(answers, answer)


if __name__ == "__main__":
    main()
