"""helpers.training: the loop learns, evaluates honestly, and an interruption loses nothing."""

import os
import pickle
import queue
import random
import re
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from jupyter_client.manager import start_new_kernel
from torch import nn

from helpers import mnist
from helpers.training import Evaluation, evaluate, fit, seed_everything
from helpers.transformations import random_affine


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    # So small a network gains nothing from a second thread, and on a busy machine the threads wait for each other.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def digits():
    images, labels = mnist.load("train")
    return images[:2000], labels[:2000]


@pytest.fixture(scope="module")
def held_out():
    images, labels = mnist.load("train")
    return images[-500:], labels[-500:]


def make_network(dropout=0.0, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Flatten(), nn.Linear(784, 20), nn.BatchNorm1d(20), nn.ReLU(), nn.Dropout(dropout), nn.Linear(20, 10)
        )


def make_optimizer(network, **settings):
    return torch.optim.SGD(network.parameters(), **{"lr": 0.05, "momentum": 0.9, **settings})


def press_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


def press_ctrl_c_at(*steps):
    """An after_step hook that presses Ctrl-C after these steps."""

    def hook(step, network):
        if step in steps:
            press_ctrl_c()

    return hook


def same_weights(network, other):
    return all(
        torch.equal(mine, theirs) for mine, theirs in zip(network.state_dict().values(), other.state_dict().values())
    )


# ---- learning


@pytest.mark.row("R6")
def test_the_loss_falls_and_the_network_learns_real_digits(digits, held_out):
    network = make_network()
    history = fit(network, *digits, optimizer=make_optimizer(network), epochs=3, validation=held_out)
    assert len(history.losses) == 3 * history.steps_per_epoch == 60
    assert sum(history.losses[-20:]) < sum(history.losses[:20]) / 3
    assert len(history.evaluations) == 3
    assert history.evaluations[-1].accuracy > 0.8  # guessing gives 0.1
    assert history.evaluations[-1] == evaluate(network, *held_out)
    assert not history.interrupted


@pytest.mark.row("R4", "R6")
def test_fit_is_the_loop_of_the_textbook(digits):
    images, labels = digits
    network, twin = make_network(), make_network()
    history = fit(network, images, labels, optimizer=make_optimizer(network), epochs=2, batch_size=300, seed=5)

    optimizer, criterion, losses = make_optimizer(twin), nn.CrossEntropyLoss(), []
    generator = torch.Generator().manual_seed(5)
    for epoch in range(2):
        for batch in torch.randperm(2000, generator=generator).split(300):
            optimizer.zero_grad()
            loss = criterion(twin(images[batch]), labels[batch])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert history.losses == losses
    assert same_weights(network, twin)


@pytest.mark.row("R4")
def test_every_epoch_uses_every_image_once_in_a_new_order(digits):
    images, labels = digits
    images = torch.arange(25.0).reshape(25, 1)
    seen = []
    network = nn.Linear(1, 10)
    network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].flatten().tolist()))
    fit(network, images, labels[:25], optimizer=make_optimizer(network, lr=1e-4), epochs=2, batch_size=10)
    assert [len(batch) for batch in seen] == [10, 10, 5] * 2
    first, second = sum(seen[:3], []), sum(seen[3:], [])
    assert sorted(first) == sorted(second) == list(range(25))
    assert first != second


def test_the_same_seed_gives_the_same_run_and_another_seed_another(digits):
    def run(seed):
        network = make_network(dropout=0.5)
        return fit(network, *digits, optimizer=make_optimizer(network), seed=seed).losses

    first = run(seed=3)
    torch.rand(7)  # what was drawn before does not matter
    assert run(seed=3) == first
    assert run(seed=4) != first


def test_fit_leaves_torchs_random_numbers_as_they_were(digits):
    network = make_network(dropout=0.5)
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    fit(network, *digits, optimizer=make_optimizer(network))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.row("R3")
def test_after_step_sees_every_step_with_the_weights_of_that_step(digits):
    network, steps, photographs = make_network(), [], []

    def photograph(step, trained):
        steps.append(step)
        photographs.append(trained[1].weight.detach().clone())

    fit(network, *digits, optimizer=make_optimizer(network), after_step=photograph)
    assert steps == list(range(1, 21))
    assert not torch.equal(photographs[0], photographs[1])
    assert torch.equal(photographs[-1], network[1].weight)


def test_seed_everything_repeats_python_numpy_and_torch():
    def draw():
        return random.random(), np.random.rand(), torch.rand(1).item()

    seed_everything(11)
    first = draw()
    seed_everything(11)
    assert draw() == first
    seed_everything(12)
    assert all(new != old for new, old in zip(draw(), first))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_batches_follow_the_network_to_the_gpu_and_an_interrupted_run_goes_on_there(digits, held_out):
    def run(*interruptions):
        network = make_network(dropout=0.5).cuda()
        optimizer = make_optimizer(network)
        history = fit(
            network, *digits, optimizer=optimizer, validation=held_out, after_step=press_ctrl_c_at(*interruptions)
        )
        torch.rand(3, device="cuda")
        return fit(network, *digits, optimizer=optimizer, validation=held_out, history=history).losses

    assert run(7) == run()


# ---- augmentation


@pytest.mark.row("I6")
def test_augment_changes_what_the_network_sees_and_nothing_else(digits, held_out):
    images, labels = digits
    before = images.clone()
    given, seen = [], []

    def negative(batch):
        given.append(batch.clone())
        batch.neg_()  # even in place: a mini-batch is a copy
        return batch

    network = make_network()
    network.register_forward_pre_hook(lambda module, inputs: seen.append((module.training, inputs[0].clone())))
    history = fit(
        network, images, labels, optimizer=make_optimizer(network), validation=held_out, seed=5, augment=negative
    )
    trained_on = [batch for training, batch in seen if training]
    assert len(given) == len(trained_on) == 20
    assert all(torch.equal(before, -after) for before, after in zip(given, trained_on))
    order = torch.randperm(2000, generator=torch.Generator().manual_seed(5)).split(100)
    assert all(torch.equal(batch, images[places]) for batch, places in zip(given, order))  # the labels still fit
    assert torch.equal(images, before)
    assert torch.equal(torch.cat([batch for training, batch in seen if not training]), held_out[0])
    assert len(history.evaluations) == 1


@pytest.mark.row("I6")
@pytest.mark.parametrize("step", [1, 13, 20, 27])
def test_an_augmented_run_that_was_interrupted_goes_on_to_the_same_end(digits, held_out, step):
    settings = {"epochs": 2, "validation": held_out, "seed": 8, "augment": random_affine}
    network, twin = make_network(0.5), make_network(0.5)
    uninterrupted = fit(twin, *digits, optimizer=make_optimizer(twin), **settings)

    optimizer = make_optimizer(network)
    history = fit(network, *digits, optimizer=optimizer, after_step=press_ctrl_c_at(step), **settings)
    assert history.interrupted and history.losses == uninterrupted.losses[:step]
    random_affine(digits[0][:7])  # random numbers drawn in between do no harm
    fit(network, *digits, optimizer=optimizer, history=history, **settings)
    assert history.losses == uninterrupted.losses
    assert history.evaluations == uninterrupted.evaluations
    assert same_weights(network, twin)


def test_augmentation_repeats_with_the_seed_and_leaves_torchs_random_numbers_as_they_were(digits):
    def run(seed, augment):
        network = make_network()
        torch.manual_seed(1)
        losses = fit(network, *digits, optimizer=make_optimizer(network), seed=seed, augment=augment).losses
        assert torch.equal(torch.rand(3), torch.rand(3, generator=torch.Generator().manual_seed(1)))
        return losses

    first = run(3, random_affine)
    assert run(3, random_affine) == first
    assert run(4, random_affine) != first
    assert run(3, None) != first
    assert run(3, lambda images: images) == run(3, None)


@pytest.mark.parametrize(
    "augment, message",
    [
        (3, "augment must be a function of a batch of images, got int"),
        (lambda images: None, "augment must return a tensor with an image for each of the 100 it is given, got NoneType"),
        (lambda images: images[:60], "an image for each of the 100 it is given, got (60, 1, 28, 28)"),
    ],
)
def test_fit_names_what_is_wrong_with_augment_and_trains_nothing(digits, augment, message):
    network, untouched = make_network(), make_network()
    with pytest.raises(TypeError, match=re.escape(message)):
        fit(network, *digits, optimizer=make_optimizer(network), augment=augment)
    assert same_weights(network, untouched)


# ---- Ctrl-C


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("step", [1, 13, 20, 27, 40])  # an epoch has 20: within one, at the end of one, at the very end
def test_a_run_that_was_interrupted_goes_on_to_the_same_end(digits, held_out, step, dropout):
    settings = {"epochs": 2, "validation": held_out, "seed": 8}
    network, twin = make_network(dropout), make_network(dropout)
    uninterrupted = fit(twin, *digits, optimizer=make_optimizer(twin), **settings)

    optimizer = make_optimizer(network)
    history = fit(network, *digits, optimizer=optimizer, after_step=press_ctrl_c_at(step), **settings)
    assert history.interrupted
    assert history.losses == uninterrupted.losses[:step]
    evaluate(network, *held_out)  # looking at it, and drawing random numbers, in between does no harm
    torch.rand(5)

    assert fit(network, *digits, optimizer=optimizer, history=history, **settings) is history
    assert not history.interrupted
    assert history.losses == uninterrupted.losses
    assert history.evaluations == uninterrupted.evaluations
    assert same_weights(network, twin)


def test_a_run_may_be_interrupted_again_and_again(digits):
    network, twin = make_network(0.5), make_network(0.5)
    uninterrupted = fit(twin, *digits, optimizer=make_optimizer(twin), epochs=2)
    optimizer, history = make_optimizer(network), None
    for _ in range(4):
        hook = press_ctrl_c_at(5, 6, 31)
        history = fit(network, *digits, optimizer=optimizer, epochs=2, history=history, after_step=hook)
    assert history.losses == uninterrupted.losses
    assert same_weights(network, twin)


class SlowSGD(torch.optim.SGD):
    """Presses Ctrl-C when half of the weights of the third step are new."""

    begun = finished = 0

    def step(self):
        self.begun += 1
        if self.begun == 3:
            rest = self.param_groups[0]["params"]
            half = len(rest) // 2
            self.param_groups[0]["params"] = rest[:half]
            super().step()
            press_ctrl_c()
            self.param_groups[0]["params"] = rest[half:]
            super().step()
            self.param_groups[0]["params"] = rest
        else:
            super().step()
        self.finished += 1


def test_ctrl_c_in_the_middle_of_a_step_waits_for_its_end(digits):
    network, twin = make_network(), make_network()
    optimizer = SlowSGD(network.parameters(), lr=0.05, momentum=0.9)
    history = fit(network, *digits, optimizer=optimizer)
    assert optimizer.begun == optimizer.finished == len(history.losses) == 3
    fit(twin, *digits, optimizer=make_optimizer(twin), after_step=press_ctrl_c_at(3))
    assert same_weights(network, twin)


def test_ctrl_c_before_the_step_of_a_batch_lets_the_step_happen(digits):
    network = make_network()
    calls = []

    def criterion(scores, labels):
        calls.append(1)
        if len(calls) == 4:
            press_ctrl_c()
        return nn.functional.cross_entropy(scores, labels)

    history = fit(network, *digits, optimizer=make_optimizer(network), criterion=criterion)
    assert history.interrupted and len(history.losses) == len(calls) == 4


def test_ctrl_c_during_the_evaluation_of_an_epoch_keeps_that_evaluation(digits, held_out):
    network, twin = make_network(), make_network()
    uninterrupted = fit(twin, *digits, optimizer=make_optimizer(twin), epochs=2, validation=held_out)
    optimizer = make_optimizer(network)

    def press_while_evaluating(module, inputs):
        if not module.training:
            press_ctrl_c()

    hook = network.register_forward_pre_hook(press_while_evaluating)
    history = fit(network, *digits, optimizer=optimizer, epochs=2, validation=held_out)
    hook.remove()
    assert history.interrupted and len(history.losses) == 20 and len(history.evaluations) == 1
    fit(network, *digits, optimizer=optimizer, epochs=2, validation=held_out, history=history)
    assert history.evaluations == uninterrupted.evaluations
    assert same_weights(network, twin)


def test_an_interruption_prints_one_line_that_says_where_and_how_to_go_on(digits, capsys):
    network = make_network()
    optimizer = make_optimizer(network)
    history = fit(network, *digits, optimizer=optimizer, epochs=2, after_step=press_ctrl_c_at(13))
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert "after step 13 of 40" in printed and "history=history" in printed
    assert "interrupted" in repr(history) and "13 steps" in repr(history)
    fit(network, *digits, optimizer=optimizer, epochs=2, history=history)
    assert capsys.readouterr().out == ""


def test_a_second_ctrl_c_stops_at_once_in_the_usual_way(digits):
    network = make_network()
    steps = []

    def press_twice(step, trained):
        steps.append(step)
        press_ctrl_c()
        press_ctrl_c()
        steps.append("never reached")

    with pytest.raises(KeyboardInterrupt):
        fit(network, *digits, optimizer=make_optimizer(network), after_step=press_twice)
    assert steps == [1]


def test_the_old_handler_comes_back_however_fit_ends(digits):
    network = make_network()
    optimizer = make_optimizer(network)
    noted = []

    def mine(number, frame):
        noted.append(number)

    def fail(step, trained):
        raise ZeroDivisionError

    before = signal.signal(signal.SIGINT, mine)
    try:
        fit(network, *digits, optimizer=optimizer)
        assert signal.getsignal(signal.SIGINT) is mine
        fit(network, *digits, optimizer=optimizer, after_step=press_ctrl_c_at(2))
        assert signal.getsignal(signal.SIGINT) is mine and noted == []
        with pytest.raises(ZeroDivisionError):
            fit(network, *digits, optimizer=optimizer, after_step=fail)
        assert signal.getsignal(signal.SIGINT) is mine
    finally:
        signal.signal(signal.SIGINT, before)


def test_where_ctrl_c_is_ignored_it_stays_ignored(digits):
    network = make_network()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        history = fit(network, *digits, optimizer=make_optimizer(network), after_step=press_ctrl_c_at(2))
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(history.losses) == 20 and not history.interrupted


def test_fit_works_in_a_thread_that_is_not_the_main_one(digits):
    results = queue.Queue()

    def work():
        network = make_network()
        results.put(fit(network, *digits, optimizer=make_optimizer(network)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(results.get_nowait().losses) == 20


# A learner's script. It says when it is under way; whoever started it then presses Ctrl-C.
SCRIPT = """
import signal, time, torch
from torch import nn
from helpers import mnist
from helpers.training import fit

torch.manual_seed(0)
images, labels = mnist.load("test")
network = nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.Dropout(0.5))
optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)

def wait_for_ctrl_c(step, network):
    if step == 5:
        handler = signal.getsignal(signal.SIGINT)
        print("under way", flush=True)
        {wait}

history = fit(network, images, labels, optimizer=optimizer, after_step=wait_for_ctrl_c)
print("stopped after", len(history.losses), history.interrupted)
fit(network, images, labels, optimizer=optimizer, history=history)
print("ended after", len(history.losses), history.interrupted, f"{{network[1].weight.double().sum().item():.17g}}")
"""


def start_script(wait="pass", **environment):
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(wait=wait)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **{name: value for name, value in os.environ.items() if name != "TQDM_DISABLE"},
            "OMP_NUM_THREADS": "1",
            **environment,
        },
    )


# Waits, in small naps, until the signal has come: fit's own handler has then put Python's usual one back.
UNTIL_THE_SIGNAL = "while signal.getsignal(signal.SIGINT) is handler: time.sleep(0.01)"


def test_a_script_goes_on_after_ctrl_c_from_outside():
    script = start_script(UNTIL_THE_SIGNAL)
    assert script.stdout.readline() == "under way\n"
    script.send_signal(signal.SIGINT)
    interrupted, errors = script.communicate(timeout=120)
    assert script.returncode == 0, errors
    assert "stopped after 5 True" in interrupted

    uninterrupted, errors = start_script().communicate(timeout=120)
    assert "stopped after 100 False" in uninterrupted
    assert interrupted.splitlines()[-1] == uninterrupted.splitlines()[-1]


def test_a_script_ends_at_the_second_ctrl_c_from_outside():
    script = start_script(UNTIL_THE_SIGNAL + "\n        print('once', flush=True); time.sleep(60)")
    assert script.stdout.readline() == "under way\n"
    script.send_signal(signal.SIGINT)
    assert script.stdout.readline() == "once\n"
    script.send_signal(signal.SIGINT)
    output, errors = script.communicate(timeout=50)
    assert script.returncode != 0
    assert errors.strip().endswith("KeyboardInterrupt")
    assert "stopped after" not in output


def test_the_stop_button_of_a_notebook_leaves_a_history_that_goes_on():
    manager, client = start_new_kernel(kernel_name="python3", env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        client.execute(SCRIPT.format(wait=UNTIL_THE_SIGNAL))
        printed = ""
        while "ended after" not in printed:
            reply = client.get_iopub_msg(timeout=120)
            if reply["msg_type"] == "stream" and reply["content"]["name"] == "stdout":
                printed += reply["content"]["text"]
                if reply["content"]["text"].startswith("under way"):
                    manager.interrupt_kernel()
            assert reply["msg_type"] != "error", reply["content"]
            assert not (reply["msg_type"] == "status" and reply["content"]["execution_state"] == "idle"), printed
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert "stopped after 5 True" in printed
    assert "ended after 100 False" in printed


# ---- going on


def test_a_larger_number_of_epochs_trains_longer_as_if_asked_for_at_first(digits, held_out):
    network, twin = make_network(0.5), make_network(0.5)
    long = fit(twin, *digits, optimizer=make_optimizer(twin), epochs=3, validation=held_out)
    optimizer = make_optimizer(network)
    history = fit(network, *digits, optimizer=optimizer, epochs=1, validation=held_out)
    fit(network, *digits, optimizer=optimizer, epochs=3, validation=held_out, history=history)
    assert history.losses == long.losses and history.evaluations == long.evaluations
    assert same_weights(network, twin)


def test_a_saved_run_goes_on_with_a_new_network_and_optimizer_that_load_it(digits):
    twin = make_network(0.5)
    uninterrupted = fit(twin, *digits, optimizer=make_optimizer(twin))
    network = make_network(0.5)
    optimizer = make_optimizer(network)
    history = fit(network, *digits, optimizer=optimizer, after_step=press_ctrl_c_at(9))
    saved = pickle.dumps([history, network.state_dict(), optimizer.state_dict()])

    history, weights, memory = pickle.loads(saved)
    network = make_network(0.5, seed=99)
    network.load_state_dict(weights)
    optimizer = make_optimizer(network)
    optimizer.load_state_dict(memory)
    fit(network, *digits, optimizer=optimizer, history=history)
    assert history.losses == uninterrupted.losses
    assert same_weights(network, twin)


def test_adam_and_a_lower_learning_rate_go_on_too(digits):
    network = make_network()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    history = fit(network, *digits, optimizer=optimizer, after_step=press_ctrl_c_at(9))
    optimizer.param_groups[0]["lr"] = 0.001
    fit(network, *digits, optimizer=optimizer, history=history)
    assert len(history.losses) == 20


@pytest.mark.parametrize(
    "change, message",
    [
        ({"batch_size": 50}, "made with batch_size=100, not batch_size=50"),
        ({"seed": 1}, "made with seed=0, not seed=1"),
        ({"epochs": 1}, "already holds 25 steps, more than epochs=1 of 20"),
        ({"history": [2.3, 2.2]}, "history must be the History that fit returned, got list"),
        ({"validation": None}, "other images, labels or validation data"),
        ({"images": "one pixel changed"}, "other images, labels or validation data"),
        ({"labels": "one label changed"}, "other images, labels or validation data"),
        ({"network": "a new one"}, "ended with other weights"),
        ({"optimizer": "a new one"}, "ended with other weights"),
    ],
)
def test_going_on_with_something_else_is_refused_and_changes_nothing(digits, held_out, change, message):
    network = make_network()
    arguments = {
        "network": network,
        "images": digits[0].clone(),
        "labels": digits[1].clone(),
        "optimizer": make_optimizer(network),
        "epochs": 2,
        "validation": held_out,
    }
    history = fit(**arguments, after_step=press_ctrl_c_at(25))
    arguments["history"] = history
    losses = list(history.losses)
    if "images" in change:
        arguments["images"][1234, 0, 13, 13] += 0.5
    elif "labels" in change:
        arguments["labels"][7] = 9 - arguments["labels"][7]
    elif "network" in change:
        arguments["network"] = make_network()
        arguments["optimizer"] = make_optimizer(arguments["network"])
    elif "optimizer" in change:
        arguments["optimizer"] = make_optimizer(network)
    else:
        arguments.update(change)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        fit(**arguments)
    assert history.losses == losses
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


# ---- evaluate


def test_evaluate_agrees_with_a_direct_computation(digits, held_out):
    network = make_network(0.5)
    fit(network, *digits, optimizer=make_optimizer(network))
    images, labels = held_out
    network.eval()
    with torch.no_grad():
        scores = network(images)
    wrong = (scores.argmax(1) != labels).sum().item()
    network.train()
    for batch_size in (1000, 500, 64, 1):
        result = evaluate(network, images, labels, batch_size=batch_size)
        assert result.loss == pytest.approx(nn.functional.cross_entropy(scores, labels).item(), rel=1e-5)
        assert (result.errors, result.count) == (wrong, 500)
        assert result.accuracy == pytest.approx((500 - wrong) / 500)


def test_evaluate_puts_every_module_back_into_its_own_mode(held_out):
    network = make_network(0.5)
    network[2].eval()  # a frozen batch norm inside a network that trains
    modes = [module.training for module in network.modules()]
    evaluate(network, *held_out)
    assert [module.training for module in network.modules()] == modes
    with pytest.raises(ValueError, match="boom"):
        evaluate(network, *held_out, criterion=lambda scores, labels: (_ for _ in ()).throw(ValueError("boom")))
    assert [module.training for module in network.modules()] == modes


def test_evaluate_changes_neither_weights_nor_statistics_nor_gradients(held_out):
    network = make_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}

    def criterion(scores, labels):
        assert not scores.requires_grad  # nothing is kept for a backward pass
        return nn.functional.cross_entropy(scores, labels)

    evaluate(network, *held_out, criterion=criterion)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_evaluate_takes_a_network_without_parameters(held_out):
    images, labels = held_out
    network = nn.Sequential(nn.Flatten(), nn.AdaptiveAvgPool1d(10))
    assert evaluate(network, images, labels).count == 500


def test_reprs_are_short_and_say_what_matters(digits, held_out):
    assert repr(Evaluation(0.31234567, 25, 1000)) == "Evaluation(loss=0.3123, accuracy=0.9750, errors=25, count=1000)"
    network = make_network()
    history = fit(network, *digits, optimizer=make_optimizer(network), validation=held_out)
    assert re.fullmatch(
        r"History\(20 steps, 20 in an epoch, loss \d\.\d{4} to \d\.\d{4}, validation accuracy 0\.\d{4}\)", repr(history)
    )


# ---- progress bar


def test_the_progress_bar_is_on_stderr_and_tqdm_disable_silences_it():
    shown, hidden = start_script(), start_script(TQDM_DISABLE="1")
    output, errors = shown.communicate(timeout=120)
    assert "100/100" in errors and "loss=" in errors
    assert "100/100" not in output
    assert hidden.communicate(timeout=120) == (output, "")


# ---- errors


@pytest.mark.parametrize(
    "change, error, message",
    [
        (lambda images, labels: {"images": images.numpy()}, TypeError, "images must be a torch.Tensor, got ndarray"),
        (lambda images, labels: {"labels": labels.tolist()}, TypeError, "labels must be a torch.Tensor, got list"),
        (
            lambda images, labels: {"images": (images * 255).byte()},
            TypeError,
            "images must be floating point, got torch.uint8",
        ),
        (lambda images, labels: {"labels": labels.float()}, TypeError, "dtype torch.int64, got torch.float32"),
        (lambda images, labels: {"labels": labels.int()}, TypeError, "dtype torch.int64, got torch.int32"),
        (lambda images, labels: {"labels": labels[:-1]}, ValueError, "got (2000, 1, 28, 28) and (1999,)"),
        (lambda images, labels: {"labels": labels[:, None]}, ValueError, "labels of shape (N,)"),
        (lambda images, labels: {"images": images[:0], "labels": labels[:0]}, ValueError, "there are no images"),
        (lambda images, labels: {"network": lambda batch: batch}, TypeError, "network must be a torch.nn.Module"),
        (
            lambda images, labels: {"criterion": nn.CrossEntropyLoss},
            TypeError,
            "make an object of it, CrossEntropyLoss()",
        ),
        (lambda images, labels: {"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        (lambda images, labels: {"batch_size": 2.5}, TypeError, "batch_size must be an integer, got 2.5"),
    ],
)
def test_fit_and_evaluate_name_what_is_wrong(digits, change, error, message):
    arguments = {"network": make_network(), "images": digits[0], "labels": digits[1]}
    optimizer = make_optimizer(arguments["network"])
    arguments.update(change(*digits))
    with pytest.raises(error, match=re.escape(message)):
        fit(**arguments, optimizer=optimizer)
    with pytest.raises(error, match=re.escape(message)):
        evaluate(**arguments)


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"epochs": 0}, ValueError, "epochs must be at least 1, got 0"),
        ({"epochs": True}, TypeError, "epochs must be an integer, got True"),
        ({"optimizer": None}, TypeError, "optimizer must be a torch.optim.Optimizer, got NoneType"),
        ({"validation": torch.zeros(2, 3)}, TypeError, "validation must be a pair (images, labels)"),
        ({"validation": (torch.zeros(2, 3), torch.zeros(3).long())}, ValueError, "validation images of shape"),
        ({"validation": (torch.zeros(2, 3), [1, 2])}, TypeError, "validation labels must be a torch.Tensor, got list"),
    ],
)
def test_fit_names_what_is_wrong_with_its_own_arguments(digits, change, error, message):
    network = make_network()
    with pytest.raises(error, match=re.escape(message)):
        fit(network, *digits, **{"optimizer": make_optimizer(network), **change})


def test_an_optimizer_of_another_network_is_refused(digits):
    with pytest.raises(ValueError, match="the optimizer holds no parameter of this network"):
        fit(make_network(), *digits, optimizer=make_optimizer(make_network()))
    with pytest.raises(ValueError, match="the optimizer holds no parameter of this network"):
        fit(nn.Flatten(), *digits, optimizer=make_optimizer(make_network()))


def test_a_loss_that_is_not_finite_stops_before_the_weights_are_lost(digits):
    images, labels = digits
    network = make_network()
    history_of_weights = []

    def remember(step, trained):
        history_of_weights.append({name: value.clone() for name, value in trained.named_parameters()})

    with pytest.raises(RuntimeError, match=r"the loss of step \d+ is (nan|inf): training has diverged.*lower learning"):
        fit(network, images, labels, optimizer=make_optimizer(network, lr=1e30), epochs=5, after_step=remember)
    assert all(torch.equal(value, history_of_weights[-1][name]) for name, value in network.named_parameters())


def test_a_bad_call_leaves_the_weights_alone(digits):
    network = make_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(ValueError):
        fit(network, *digits, optimizer=make_optimizer(network), epochs=0)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
