"""What the tests of helpers.explorables.Training need: states, refusals, the record, and how readers move it."""

import json
from pathlib import Path

from figures.convolution import get, shown

RECORD = json.loads((Path(__file__).resolve().parents[2] / "results" / "training.json").read_text(encoding="utf-8"))
RUNS = {run["network"]: run for run in RECORD["runs"]}
REFUSED = [
    ({"network": "LeNet"}, "network"),
    ({"step": 5}, "the steps 0, 1, 2, .*, 1000 were recorded, got 5"),
    ({"step": -1}, "were recorded, got -1"),
    ({"step": 0.5}, "step"),
    ({"same_scale": "yes"}, "same_scale"),
]


def random_state(generator):
    return {
        "network": generator.choice(["linear", "cnn", "cnn", "cnn"]),
        "step": generator.choice(RECORD["steps"]),
        "same_scale": generator.random() < 0.5,
    }


def by_torch(figure):
    """As torch trained it, from the record."""
    place, run = RECORD["steps"].index(figure.step), RUNS[figure.network]
    return {"accuracy": 1 - run["validation_errors"][place] / RECORD["validation_images"], "step": figure.step}


def by_mouse(page, figure):
    assert shown(figure, "accuracy")[0] < 0.2  # as good as guessing
    figure.get_by_role("button", name="Next").click()
    assert get(figure, "step") == 1 and shown(figure, "step") == [1]
    box = figure.get_by_role("slider", name="Step").bounding_box()
    page.mouse.click(box["x"] + box["width"] - 3, box["y"] + box["height"] / 2)
    assert get(figure, "step") == 1000 and shown(figure, "accuracy")[0] > 0.9
    figure.locator("label", has_text="convolutional network").click()
    assert get(figure, "network") == "cnn" and shown(figure, "accuracy")[0] > 0.97
    figure.get_by_role("button", name="First").click()
    figure.get_by_role("button", name="Play").click()
    page.wait_for_function("f => f.model.get('step') > 2", arg=figure.element_handle())
    figure.get_by_role("button", name="Pause").click()
    stopped = get(figure, "step")
    page.wait_for_timeout(700)
    assert get(figure, "step") == stopped
    figure.get_by_text("Same colours for all steps").click()
    assert get(figure, "same_scale")
    figure.evaluate("figure => figure.model.set('step', 700)")
    figure.get_by_role("button", name="Play").click()
    figure.get_by_role("button", name="Play").wait_for()  # it has come to its end
    heard = "f => f.querySelector('[role=status]').textContent.startsWith('Step 1000: loss')"
    page.wait_for_function(heard, arg=figure.element_handle())


def by_keyboard(page, figure):
    figure.get_by_role("slider", name="Step").focus()
    for key, step in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", 1000), ("Home", 0)):
        page.keyboard.press(key)
        assert get(figure, "step") == step and shown(figure, "step") == [step]
    page.keyboard.press("End")
    heard = "f => /^Step 1000: loss [0-9.]+, 9[0-9.]+% right$/.test(f.querySelector('[role=status]').textContent)"
    page.wait_for_function(heard, arg=figure.element_handle())
