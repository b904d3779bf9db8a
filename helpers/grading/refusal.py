"""What must not run in a worker, made impossible before the learner's code is loaded: operators, modules, functions.

Counting what runs would not do: code in the same process can hide from whoever counts. An operator of torch that is
refused here has lost its kernels. What hides behind another name, in another thread or in a lazy tensor finds the
refusal as well, and no name in Python leads to the kernels that were there before.
"""

import contextlib
import ctypes
import fnmatch
import importlib.abc
import importlib.machinery
import importlib.util
import platform
import struct
import sys
from collections import Counter
from pathlib import Path

import torch

# The course's modules that a learner's code finds: none of them holds an answer, or imports one that does.
HELPERS = ("mnist", "plotting", "sizes", "training", "transformations")
# Where kernels that compute are registered; the others (Autograd, Autocast, ...) hand on to one of these.
KEYS = (
    "CPU", "QuantizedCPU", "MkldnnCPU", "SparseCPU", "SparseCsrCPU", "NestedTensorCPU", "MPS", "CUDA", "XPU",
    "CompositeImplicitAutograd", "CompositeImplicitAutogradNestedTensor", "CompositeExplicitAutograd",
    "CompositeExplicitAutogradNonFunctional",
)  # fmt: skip


def operators(patterns):
    """Let every operator of torch whose name matches raise an error, forward and backward, for good.

    Parameters
    ----------
    patterns : iterable of str
        Names with wildcards, without namespace and overload: ``"*convolution*"``.

    Returns
    -------
    collections.Counter
        Which of them was tried how often, from now on.
    """
    tried = Counter()
    if not patterns:
        return tried
    _load_torchvision()
    for operator in torch._C._dispatch_get_all_op_names():
        space, name = operator.split("::")
        name = name.split(".")[0]
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            continue

        def refuse(*_, name=name, **__):
            tried[name] += 1
            raise RuntimeError(f"torch's own {name} does not run here: this is to be your own code")

        library = torch._C._dispatch_library("IMPL", space, "", __file__, 0)
        for key in KEYS:
            if key == "CPU" or torch._C._dispatch_has_kernel_for_dispatch_key(operator, key):
                library.impl(operator.removeprefix(f"{space}::"), key, refuse, False)
        # Whoever holds the library can take the refusal back. So nobody holds it, and it lives on: it is counted as
        # held once more than it is.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(library))
    return tried


def _load_torchvision():
    # Its operators (deform_conv2d) would come later, and be allowed. Importing all of it would take a second.
    found = importlib.util.find_spec("torchvision")
    for folder in found.submodule_search_locations if found else ():
        for file in sorted(Path(folder).glob("_C*.so")):
            with contextlib.suppress(OSError):
                torch.ops.load_library(str(file))


def programs():
    """Let no other program be started from here on (Linux): another Python would find torch as it was.

    A filter of system calls, which nobody can take off again. Threads and ``fork`` stay, with the filter.
    """
    # For each machine: its mark, and the numbers of the calls execve, execveat and seccomp.
    calls = {"x86_64": (0xC000003E, 59, 322, 317), "aarch64": (0xC00000B7, 221, 281, 277)}.get(platform.machine())
    if sys.platform != "linux" or calls is None:
        return
    machine, execute, execute_at, seccomp = calls
    load, equal, at_least, answer = 0x20, 0x15, 0x35, 0x06
    allowed, not_permitted = 0x7FFF0000, 0x00050001
    # Each (instruction, steps if true, steps if false, value): offset 4 holds the machine, offset 0 the call's number.
    # Numbers from 2**30 are a second set of names for the same calls.
    filter = [
        (load, 0, 0, 4), (equal, 0, 5, machine), (load, 0, 0, 0), (at_least, 3, 0, 2**30), (equal, 2, 0, execute),
        (equal, 1, 0, execute_at), (answer, 0, 0, allowed), (answer, 0, 0, not_permitted),
    ]  # fmt: skip
    packed = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in filter))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(filter), ctypes.addressof(packed)))
    system = ctypes.CDLL(None, use_errno=True)
    no_new_privileges, set_filter, all_threads = 38, 1, 1
    system.prctl(no_new_privileges, 1, 0, 0, 0)
    system.syscall(seccomp, set_filter, all_threads, program)


def modules(forbidden):
    """Leave a learner's code of the course's helpers those in ``HELPERS``, without the forbidden functions.

    Parameters
    ----------
    forbidden : iterable of str
        As in :class:`helpers.grading.experiments.Experiment`; only ``"helpers.MODULE.FUNCTION"`` is looked at.
    """
    sys.meta_path.insert(0, _EmptyHelpers())
    for path in forbidden:
        package, _, rest = path.partition(".")
        module, _, function = rest.partition(".")
        if package == "helpers" and module in HELPERS and function:
            setattr(importlib.import_module(f"helpers.{module}"), function, _refused(path))


def _refused(path):
    def refused(*_, **__):
        raise RuntimeError(f"{path} does not run here: this is to be your own code")

    return refused


class _EmptyHelpers(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    # Empty modules and no error: one line often imports more than an answer uses.
    def find_spec(self, name, path=None, target=None):
        parts = name.split(".")
        if parts[0] == "helpers" and len(parts) > 1 and parts[1] not in (*HELPERS, "grading"):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def exec_module(self, module):
        def missing(name):
            if name.startswith("__"):
                raise AttributeError(name)
            raise ImportError(f"{module.__name__} is not there while a notebook is graded")

        module.__getattr__ = missing
