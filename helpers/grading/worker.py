"""The process in which the learner's code runs: it answers one request after the other, and is believed in nothing.

It is started by :mod:`helpers.grading.sandbox` and speaks :mod:`helpers.grading.wire` over what were its standard input
and output; what the learner's code prints goes to its standard error.
"""

import contextlib
import linecache
import os
import signal
import sys
import types

import torch

from helpers.grading import stand_in, tape, watch, wire


class TimeIsUp(BaseException):
    """Raised inside of the learner's code when its time is over."""


class Worker:
    """Holds the learner's names and networks; each public method is one request."""

    def __init__(self):
        self.module = types.ModuleType("__main__")
        self.networks = []

    def load(self, cells, mnist):
        """Run the chosen statements of each cell: ``[[number, source, [index of statement, ...]], ...]``."""
        import ast

        if mnist:
            stand_in.install()
        if any("optim" in source for _, source, _ in cells):
            import torch._dynamo  # noqa: F401 - an optimizer's first step would import it, in the learner's time
        # Classes are found through the module's name, by pickle and by dataclasses.
        sys.modules["__main__"] = self.module
        space = vars(self.module)
        space["display"], space["get_ipython"] = (lambda *values, **_: print(*values)), (lambda: None)
        errors = []
        for number, source, chosen in cells:
            file = f"<cell {number}>"
            linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
            body = ast.parse(source).body
            for index in chosen:
                try:
                    exec(compile(ast.Module([body[index]], []), file, "exec"), space)  # noqa: S102 - what it is for
                except TimeIsUp:
                    raise
                except BaseException as error:  # noqa: BLE001 - SystemExit and its like, too
                    errors.append(describe(error))
        return errors

    def defined(self, names):
        """Say which of the names exist."""
        return [name for name in names if name in vars(self.module)]

    def call(self, name, arguments, settings):
        """Call a function by name."""
        return vars(self.module)[name](*arguments, **settings)

    def build(self, name, arguments, settings, seed, state):
        """Make an object of a class by name, with these weights; gives its handle."""
        if seed is not None:
            torch.manual_seed(seed)
        network = vars(self.module)[name](*arguments, **settings)
        if not isinstance(network, torch.nn.Module):
            raise TypeError(f"{name}(...) gave an object of {type(network).__name__}, which is not a torch.nn.Module")
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
        watcher, before = watch.TrainingWatch(network), len(stand_in.loaded)
        try:
            with time_limit(seconds):
                returned = vars(self.module)[function](network, *arguments, **settings)
        except TimeIsUp:
            stopped = True
        watcher.stop()
        return {"stopped": stopped, "returned": returned, "steps": watcher.steps, "loaded": stand_in.loaded[before:]}

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


# Requests that are timed and watched by themselves.
UNWATCHED = {"train", "predict", "load", "record", "play"}


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
            with time_limit(None if request["do"] == "train" else request["seconds"]):
                with operators if watched else contextlib.nullcontext():
                    answer["value"] = getattr(worker, request["do"])(**request["with"])
        except TimeIsUp:
            answer["error"] = ["TimeIsUp", "", ""]
        except BaseException as error:  # noqa: BLE001 - nothing that the learner's code raises ends the worker
            answer["error"] = describe(error)
        answer |= {"operators": dict(operators.count), "loaded": stand_in.loaded[:20]}
        try:
            sys.stdout.flush(), sys.stderr.flush()
        except BaseException:  # noqa: BLE001, S110 - the learner's code may have closed or replaced them
            pass
        wire.write(answers, answer, modules=handles)


if __name__ == "__main__":
    main()
