"""Measure ``helpers.conv.Conv2D`` against ``torch.nn.Conv2d``, and three plainer layers beside it: ``make bench``.

Without ``make``: ``python benchmarks/conv2d.py``. It takes five to six minutes, and wants a machine that does nothing
else. It writes ``results/conv2d.json`` and ``results/conv2d.svg`` at the very end, so Ctrl-C leaves the old ones whole.

How each figure is made is said once, in ``METHOD`` below, and travels with the results.
"""

import argparse
import ctypes
import hashlib
import json
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import recording
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from helpers import conv, strips
from helpers.sizes import output_size
from helpers.windows import windows

# MNIST and the drawing are imported where they are used: of the many processes started here, most need neither.

SEED = 0
THREADS = (1, 2)
PASSES = ("forward", "forward + backward")
BATCH_SIZE = 100  # of the epoch
CHUNK = 20  # steps of the epoch that one layer makes before the other has its turn

# OpenMP's threads else spin for a while after each operation, and that slows whoever runs next: ours or the built-in.
# Where freed memory goes is settled too, see METHOD; the names are the GNU C library's, other systems ignore them.
PASSIVE = {"OMP_WAIT_POLICY": "PASSIVE"}
ENVIRONMENT = {
    "speed": PASSIVE | {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40)},
    "memory": PASSIVE | {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"},
}

METHOD = {
    "speed": "A fresh process for each number of threads. Each layer is timed in turns with nn.Conv2d, which of the two "
    "goes first alternating; a time is the median of its turns, a ratio that of the two medians. The forward pass is "
    "without gradients; forward + backward computes the gradients of input, weight and bias. The C library keeps the "
    "memory that it has: else each large new tensor is paid for in page faults, or is not, depending on what ran "
    "before, and the ratio of the depthwise layer came out anywhere between 0.6 and 1.8.",
    "loops": "Forward only, on one image and the three smallest workloads; multiplied by the number of images.",
    "memory": "One forward + backward at 1 thread in a fresh process, after one on a tiny image has loaded what is "
    "loaded once. Linux's peak of resident memory (VmHWM) is reset before and read after, so everything counts: "
    "tensors, column buffers, and the scratch memory of oneDNN and the matrix product. Pages of files (RssFile) are "
    "taken off: they are code that runs for the first time. The C library is told to take each block of 64 KiB or "
    "more from the system and to give it back at once, so that no block freed earlier hides a need. 'returned' is "
    "the part that no layer can do without: the output and the three gradients.",
    "epoch": f"LeNet (61,706 parameters) on MNIST's 60,000 training images, batch {BATCH_SIZE}, SGD with momentum; two "
    f"networks that start equal see the same batches and take turns of {CHUNK} steps. All of a step is timed.",
    "limit": "The best of several products of two float32 matrices of 2048 x 2048. A layer's GFLOP/s count two "
    "operations for each product of a kernel cell and a pixel, padding included, and three times that with backward.",
}

# name: shape of the input, out_channels, kernel_size, further settings
WORKLOADS = {
    "LeNet conv1": ((100, 1, 28, 28), 6, 5, {"padding": 2}),
    "LeNet conv2": ((100, 6, 14, 14), 16, 5, {}),
    "the lecture's layer": ((32, 3, 32, 32), 10, 5, {"padding": 2}),
    "3×3, 64 channels": ((16, 64, 56, 56), 64, 3, {"padding": 1}),
    "3×3, 128 channels": ((16, 128, 28, 28), 128, 3, {"padding": 1}),
    "7×7, stride 2": ((16, 3, 112, 112), 64, 7, {"stride": 2, "padding": 3}),
    "1×1, 256 channels": ((16, 256, 14, 14), 256, 1, {}),
    "depthwise 3×3": ((16, 64, 56, 56), 64, 3, {"padding": 1, "groups": 64}),
    "3×3, dilation 2": ((16, 32, 56, 56), 32, 3, {"padding": 2, "dilation": 2}),
}
QUICK = ("LeNet conv2",)


class UnfoldProduct(nn.Conv2d):
    """The usual own version: ``F.unfold`` writes down all windows, and one matrix product does the rest."""

    def forward(self, input):
        patches = F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride).unflatten(1, (self.groups, -1))
        output = self.weight.reshape(self.groups, -1, patches.shape[2]) @ patches + self.bias.view(self.groups, -1, 1)
        return output.view(len(input), self.out_channels, *output_shape(self, input))


class WindowsEinsum(nn.Conv2d):
    """The windows as a view, and ``torch.einsum``."""

    def forward(self, input):
        (vertical, horizontal), groups = self.padding, (self.groups, -1)
        padded = F.pad(input, (horizontal, horizontal, vertical, vertical))
        view = windows(padded, self.kernel_size, self.stride, self.dilation).unflatten(1, groups)
        output = torch.einsum("ngcijkl,gockl->ngoij", view, self.weight.unflatten(0, groups)).flatten(1, 2)
        return output + self.bias[:, None, None]


class Loops(nn.Conv2d):
    """Chapter 2's first version: plain numbers and seven loops. No gradients, groups or dilation."""

    def forward(self, input):
        (vertical, horizontal), (down, right) = self.padding, self.stride
        z = F.pad(input, (horizontal, horizontal, vertical, vertical)).tolist()
        w, b = self.weight.tolist(), self.bias.tolist()
        rows, columns = output_shape(self, input)
        output = torch.empty(len(input), self.out_channels, rows, columns)
        for n in range(len(input)):
            for o in range(self.out_channels):
                for i in range(rows):
                    for j in range(columns):
                        total = b[o]
                        for c in range(self.in_channels):
                            for k in range(self.kernel_size[0]):
                                for l in range(self.kernel_size[1]):
                                    total += w[o][c][k][l] * z[n][c][i * down + k][j * right + l]
                        output[n, o, i, j] = total
        return output


LAYERS = {
    "ours": conv.Conv2D,
    "F.unfold + matmul": UnfoldProduct,
    "windows + einsum": WindowsEinsum,
    "loops": Loops,
    "nn.Conv2d": nn.Conv2d,
}
LOOPS_WORKLOADS = ("LeNet conv1", "LeNet conv2", "the lecture's layer")


def output_shape(layer, input):
    """Rows and columns of a layer's output."""
    settings = zip(input.shape[2:], layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    return [output_size(*side) for side in settings]


def make(workload, layer_name):
    """A layer and its input; the same numbers for every ``layer_name``."""
    shape, out_channels, kernel_size, settings = WORKLOADS[workload]
    torch.manual_seed(SEED)
    layer = LAYERS[layer_name](shape[1], out_channels, kernel_size, **settings)
    return layer, torch.randn(shape)


def operations(workload):
    """Floating-point operations of a forward pass: a multiplication and an addition for each cell of each window."""
    layer, input = make(workload, "nn.Conv2d")
    return 2 * len(input) * math.prod(output_shape(layer, input)) * layer.weight.numel()


def seconds_of(layer, input, grad_output=None):
    """Time one forward pass, or with ``grad_output`` a forward and a backward pass."""
    if grad_output is None:
        with torch.no_grad():
            start = time.perf_counter()
            layer(input)
            return time.perf_counter() - start
    input.grad = None
    layer.zero_grad()
    start = time.perf_counter()
    layer(input).backward(grad_output)
    return time.perf_counter() - start


def check_equal(layer, built_in, input, grad_output):
    """Refuse to time a layer that computes something else than the built-in; ``grad_output`` None: forward only."""
    results = []
    for each in (layer, built_in):
        input.grad = None
        each.zero_grad()
        with torch.set_grad_enabled(grad_output is not None):
            output = each(input)
        results.append([output.detach()])
        if grad_output is not None:
            output.backward(grad_output)
            results[-1] += [input.grad, *(parameter.grad.clone() for parameter in each.parameters())]
    for ours, theirs in zip(*results):
        error = (ours - theirs).abs().max() / theirs.abs().max()
        if not error < 1e-4:
            raise RuntimeError(f"{type(layer).__name__} differs from nn.Conv2d by {error:.1e} of the largest value: not timed")


def measure_speed(workload, pass_name, layer_name, quick):
    """Time one layer on one workload in turns with the built-in; returns an entry of the results."""
    layer, input = make(workload, layer_name)
    built_in, _ = make(workload, "nn.Conv2d")
    images = len(input)
    own_input = input[:1] if layer_name == "loops" else input
    grad_output = torch.randn_like(built_in(input).detach()) if pass_name == PASSES[1] else None
    input.requires_grad_(grad_output is not None)
    check_equal(layer, built_in, own_input, grad_output)  # a warm-up as well
    seconds_of(built_in, input, grad_output)
    most, budget = (3, 0) if quick or layer_name == "loops" else (80, 2.2) if layer_name == "ours" else (30, 0.9)
    own_seconds, built_in_seconds = [], []
    end = time.perf_counter() + budget
    while len(own_seconds) < 3 or (len(own_seconds) < most and time.perf_counter() < end):
        turns = [(own_seconds, layer, own_input), (built_in_seconds, built_in, input)]
        for seconds, turn, turn_input in turns if len(own_seconds) % 2 else turns[::-1]:
            seconds.append(seconds_of(turn, turn_input, grad_output))
    own = statistics.median(own_seconds) * images / len(own_input)
    theirs = statistics.median(built_in_seconds)
    count = operations(workload) * (1 if grad_output is None else 3)
    return {
        "workload": workload,
        "threads": torch.get_num_threads(),
        "pass": pass_name,
        "implementation": layer_name,
        "milliseconds": rounded(1000 * own),
        "built_in_milliseconds": rounded(1000 * theirs),
        "ratio": rounded(own / theirs),
        "gflops": rounded(count / own / 1e9),
        "built_in_gflops": rounded(count / theirs / 1e9),
        "pairs": len(own_seconds),
        "images_measured": len(own_input),
        "images": images,
    }


def measure_limit(quick):
    """Floating-point operations a second of a large matrix product, in units of 10⁹."""
    size = 512 if quick else 2048
    left, right = torch.randn(2, size, size)
    best = math.inf
    for _ in range(6):
        start = time.perf_counter()
        torch.mm(left, right)
        best = min(best, time.perf_counter() - start)
    return {"threads": torch.get_num_threads(), "gflops": rounded(2 * size**3 / best / 1e9)}


def lenet(layer):
    """LeNet-5 as it is written today: 61,706 parameters."""
    return nn.Sequential(
        layer(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), layer(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def measure_epoch(quick):
    """Train two LeNets for an epoch in turns, one with each layer; yields None after each pair of turns, then the entry."""
    from helpers import mnist

    images, labels = mnist.load("train")
    torch.manual_seed(SEED)
    networks = {"ours": lenet(conv.Conv2D)}
    networks["nn.Conv2d"] = lenet(nn.Conv2d)
    networks["nn.Conv2d"].load_state_dict(networks["ours"].state_dict())
    optimizers = {name: torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9) for name, network in networks.items()}
    seconds, losses = dict.fromkeys(networks, 0.0), {name: [] for name in networks}
    batches = torch.randperm(len(images)).split(BATCH_SIZE)[: 2 * CHUNK if quick else None]

    def train(name, chunk):
        for batch in chunk:
            batch_images, batch_labels = images[batch], labels[batch]
            loss = F.cross_entropy(networks[name](batch_images), batch_labels)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name].append(loss.item())

    for number in range(0, len(batches), CHUNK):
        for name in sorted(networks, reverse=number // CHUNK % 2 == 1):
            start = time.perf_counter()
            train(name, batches[number : number + CHUNK])
            seconds[name] += time.perf_counter() - start
        yield None
    yield {
        "threads": torch.get_num_threads(),
        "steps": len(batches),
        "batch_size": BATCH_SIZE,
        "seconds": rounded(seconds["ours"]),
        "built_in_seconds": rounded(seconds["nn.Conv2d"]),
        "ratio": rounded(seconds["ours"] / seconds["nn.Conv2d"]),
        "last_loss": rounded(statistics.mean(losses["ours"][-CHUNK:])),
        "built_in_last_loss": rounded(statistics.mean(losses["nn.Conv2d"][-CHUNK:])),
    }


def measure_memory(workload, layer_name):
    """Peak of the memory that one forward + backward takes, in MiB; None where the system does not tell."""
    reset, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    layer, input = make(workload, layer_name)
    tiny = torch.randn(1, *input.shape[1:2], 9, 9, requires_grad=True)
    output = layer(tiny)
    output.backward(torch.ones_like(output))
    del output
    layer.zero_grad(set_to_none=True)
    input.requires_grad_()
    grad_output = torch.randn(len(input), layer.out_channels, *output_shape(layer, input))
    returned = grad_output.nbytes + input.nbytes + sum(parameter.nbytes for parameter in layer.parameters())
    entry = {"workload": workload, "implementation": layer_name, "returned_mebibytes": rounded(returned / 2**20)}
    try:
        ctypes.CDLL(None).malloc_trim(0)
        reset.write_text("5")  # sets the peak to what is resident now
    except (OSError, AttributeError, TypeError):
        return entry | {"mebibytes": None}

    def kibibytes(key):
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(key))

    before, code_before = kibibytes("VmRSS:"), kibibytes("RssFile:")
    output = layer(input)
    output.backward(grad_output)
    growth = kibibytes("VmHWM:") - before - (kibibytes("RssFile:") - code_before)
    return entry | {"mebibytes": rounded(growth / 1024)}


def rounded(value):
    """Four digits: more than these measurements are worth."""
    return float(f"{value:.4g}")


def speed_process(quick):
    """What the process for one number of threads does: print one line of JSON for each thing done."""
    yield {"limit": measure_limit(quick)}
    for workload in QUICK if quick else WORKLOADS:
        for pass_name in PASSES:
            for layer_name in LAYERS:
                loops_fit = workload in LOOPS_WORKLOADS and pass_name == PASSES[0]
                if layer_name != "nn.Conv2d" and (layer_name != "loops" or loops_fit):
                    yield {"speed": measure_speed(workload, pass_name, layer_name, quick)}
    for entry in measure_epoch(quick):
        yield {} if entry is None else {"epoch": entry}


def lines_from(*arguments, threads):
    """Start this file once more in a fresh process, and yield what it prints, line by line."""
    environment = os.environ | ENVIRONMENT[arguments[0]] | {"OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, __file__, "--part", *arguments, "--threads", str(threads)]
    # In a session of its own Ctrl-C does not reach it: what it measured would end in a traceback. We end it below.
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        for line in process.stdout:
            yield json.loads(line)
        if process.wait():
            sys.exit(f"The part {' '.join(arguments)} failed: its reason is above. The old results were not touched.")
    finally:
        process.kill()
        process.wait()


def measure(quick):
    """Measure everything, with a progress bar; returns the results."""
    start = time.perf_counter()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    if load is not None and load > 0.7 and not quick:
        print(f"This machine is busy (load {load:.1f}): the times will be those of a busy machine.")
    workloads, thread_counts = (QUICK, THREADS[:1]) if quick else (tuple(WORKLOADS), THREADS)
    results = about(workloads, thread_counts, load) | {"limit": [], "speed": [], "epoch": [], "memory": []}
    measured = ["ours", "nn.Conv2d"] if quick else [name for name in LAYERS if name != "loops"]
    loops = len(set(workloads) & set(LOOPS_WORKLOADS))
    chunks = 2 if quick else 60_000 // BATCH_SIZE // CHUNK
    steps = len(thread_counts) * (2 + len(workloads) * len(PASSES) * 3 + loops + chunks) + len(workloads) * len(measured)
    with tqdm(total=steps, desc="bench", unit="part", disable=None) as bar:
        for threads in thread_counts:
            for line in lines_from("speed", *["--quick"] * quick, threads=threads):
                for kind, entry in line.items():
                    results[kind].append(entry)
                bar.update()
        for workload in workloads:
            for layer_name in measured:
                (entry,) = lines_from("memory", "--workload", workload, "--layer", layer_name, threads=1)
                results["memory"].append(entry)
                bar.update()
    if code_measured() != results["conv_sha256"]:
        sys.exit("helpers/conv.py or strips.py was changed while it was measured: nothing was written. Run this again.")
    for entry in results["memory"]:
        (built_in,) = (e for e in results["memory"] if (e["workload"], e["implementation"]) == (entry["workload"], "nn.Conv2d"))
        entry["ratio"] = rounded(entry["mebibytes"] / built_in["mebibytes"]) if entry["mebibytes"] else None
    results["geometric_means"] = geometric_means(results)
    results["seconds"] = round(time.perf_counter() - start)
    return results


def geometric_means(results):
    """Over the workloads, for each layer that was measured on all of them."""
    groups = {}
    for entry in results["speed"]:
        groups.setdefault((entry["threads"], entry["pass"], entry["implementation"]), []).append(entry["ratio"])
    return [
        {"threads": threads, "pass": pass_name, "implementation": name, "ratio": rounded(statistics.geometric_mean(ratios))}
        for (threads, pass_name, name), ratios in groups.items()
        if len(ratios) == len(results["workloads"]) and name != "loops"
    ]


def about(workloads, thread_counts, load):
    """All that somebody needs to judge the figures, or to make them again."""
    what = "helpers.conv.Conv2D, and other layers, as multiples of torch.nn.Conv2d: time, and memory"
    return recording.about(what, "make bench") | {
        "seed": SEED,
        "conv_sha256": code_measured(),
        "load_before": load and round(load, 2),
        "threads": list(thread_counts),
        "environment": ENVIRONMENT,
        "dtype": "float32",
        "method": METHOD,
        "workloads": {name: described(name) for name in workloads},
    }


def code_measured():
    """A checksum that tells one version of our layer from another."""
    return hashlib.sha256(b"".join(Path(module.__file__).read_bytes() for module in (conv, strips))).hexdigest()


def described(workload):
    shape, out_channels, kernel_size, settings = WORKLOADS[workload]
    layer = dict(in_channels=shape[1], out_channels=out_channels, kernel_size=kernel_size) | settings
    return {"input": list(shape), "layer": layer, "forward_gflop": rounded(operations(workload) / 1e9)}


def figure(results, threads=1):
    """Draw the ratios: a row for each workload, a mark for each layer, the built-in at 1."""
    from helpers import plotting

    names = list(results["workloads"])
    marks = {
        "ours": ("o", plotting.ACCENT, -0.2),
        "F.unfold + matmul": ("s", plotting.SECOND, 0),
        "windows + einsum": ("^", plotting.THIRD, 0.2),
    }
    drawings = plotting.axes(5.8, 7, rows=2, sharex=True)
    for drawing, pass_name in zip(drawings, PASSES):
        for name, (marker, colour, shift) in marks.items():
            ratios = {
                entry["workload"]: entry["ratio"]
                for entry in results["speed"]
                if (entry["threads"], entry["pass"], entry["implementation"]) == (threads, pass_name, name)
            }
            heights = [names.index(workload) + shift for workload in ratios]
            drawing.plot(ratios.values(), heights, marker, color=colour, label=name, fillstyle="none" if name != "ours" else "full")
        drawing.axvline(1, color=plotting.INK, linewidth=1.2)
        drawing.set(title=pass_name, xscale="log", yticks=range(len(names)), yticklabels=names)
        drawing.set(xticks=[0.5, 1, 2, 5, 10, 20], xticklabels=["0.5", "1", "2", "5", "10", "20"])
        drawing.minorticks_off()
        drawing.invert_yaxis()
    drawings[1].set_xlabel("time, as a multiple of nn.Conv2d")
    drawings[0].figure.legend(*drawings[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return plotting.drawn(
        drawings,
        alt="Time of three own layers as multiples of nn.Conv2d, on nine workloads, forward above and forward plus "
        "backward below. Ours lies nearest to 1; unfolding and einsum lie to the right of it.",
    )


def table(results):
    """The results as text."""
    lines = []
    for threads in results["threads"]:
        (limit,) = (entry["gflops"] for entry in results["limit"] if entry["threads"] == threads)
        for pass_name in PASSES:
            rows = [e for e in results["speed"] if (e["threads"], e["pass"]) == (threads, pass_name)]
            lines += ["", f"{pass_name}, threads: {threads}, a matrix product makes {limit:.0f} GFLOP/s"]
            lines += [f"{'':20} {'built-in':>18} {'ours':>18} {'ours':>7} {'unfold':>7} {'einsum':>7} {'loops':>7}"]
            for workload in results["workloads"]:
                by_name = {e["implementation"]: e for e in rows if e["workload"] == workload}
                ours = by_name["ours"]
                times = f"{ours['built_in_milliseconds']:8.2f} ms {ours['built_in_gflops']:5.0f} G "
                times += f"{ours['milliseconds']:8.2f} ms {ours['gflops']:5.0f} G"
                ratios = [f"{by_name[name]['ratio']:6.4g}×" if name in by_name else "–" for name in list(LAYERS)[:4]]
                lines += [f"{workload:20} {times} " + " ".join(f"{ratio:>7}" for ratio in ratios)]
            means = [e for e in results["geometric_means"] if (e["threads"], e["pass"]) == (threads, pass_name)]
            lines += [f"{'geometric mean':58} " + " ".join(f"{e['ratio']:6.4g}×" for e in means)]
    lines += ["", "peak memory of forward + backward, in MiB (all must return the first column)"]
    for workload in results["workloads"]:
        entries = [e for e in results["memory"] if e["workload"] == workload]
        cells = [f"{e['implementation']} {e['mebibytes'] or math.nan:.1f} ({e['ratio'] or math.nan:.2f}×)" for e in entries]
        lines += [f"{workload:20} {entries[0]['returned_mebibytes']:6.1f}  " + "   ".join(cells)]
    lines += [""]
    for entry in results["epoch"]:
        lines += [
            f"LeNet, {entry['steps']} steps, threads: {entry['threads']}: ours {entry['seconds']:.1f} s, built-in "
            f"{entry['built_in_seconds']:.1f} s, {entry['ratio']:.2f}×"
        ]
    return "\n".join(lines[1:])


def write(results, path):
    """Put the results and the picture in place, each in one step."""
    # Alone in a file the picture inherits no font from a page.
    picture = figure(results).body.replace("<svg", '<svg font-family="sans-serif"', 1)
    recording.put(path.with_suffix(".svg"), picture)
    recording.put(path, recording.as_json(results))


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Measure our Conv2D against torch's.")
    parser.add_argument("--quick", action="store_true", help="one workload, one thread, few repetitions; writes nothing without --output")
    parser.add_argument("--output", type=Path, help="write here instead of results/conv2d.json")
    parser.add_argument("--part", choices=["speed", "memory"], help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--workload", help=argparse.SUPPRESS)
    parser.add_argument("--layer", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.part:
        torch.set_num_threads(options.threads)
        memory = options.part == "memory"
        parts = [measure_memory(options.workload, options.layer)] if memory else speed_process(options.quick)
        for part in parts:
            print(json.dumps(part), flush=True)
        return
    results = measure(options.quick)
    print(table(results))
    path = options.output or (None if options.quick else recording.RESULTS / "conv2d.json")
    if path:
        write(results, path)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("\nInterrupted: nothing was written.", file=sys.stderr)
        sys.exit(130)
