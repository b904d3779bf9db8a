"""What the tests of helpers.explorables.Pooling need: states, refusals, the same by torch, and how readers move it."""

import torch
import torch.nn.functional as F
from figures.convolution import get, shown

REFUSED = [
    ({"kernel_size": 5}, "a window of 5×5 does not fit into a map of 4×4"),
    ({"input": [[1, 2, 3]]}, "a window of 2×2 does not fit into a map of 1×3"),
    ({"kernel_size": 0}, "kernel_size"),
    ({"kernel_size": 6}, "kernel_size"),
    ({"stride": 0}, "stride"),
    ({"stride": 1.5}, "stride"),
    ({"right": 5}, "right"),
    ({"mode": "min"}, "max.*average"),
    ({"position": (2, 0)}, r"the result has rows 0 to 1 and columns 0 to 1, got position \(2, 0\)"),
    ({"input": torch.zeros(29, 2)}, r"input must have shape \(rows, columns\), each from 1 to 28, got \(29, 2\)"),
]


def random_state(generator):
    kernel_size, stride = generator.randint(1, 5), generator.randint(1, 5)
    rows, columns = generator.choice([(26, 26), (generator.randint(kernel_size, 8), generator.randint(kernel_size, 12))])
    cell = generator.choice(
        [lambda: generator.randint(0, 1), lambda: generator.randint(-9, 9), lambda: generator.uniform(0, 2), lambda: 0]
    )
    return {
        "input": [[cell() for _ in range(columns)] for _ in range(rows)],
        "mode": generator.choice(["max", "average"]),
        "kernel_size": kernel_size,
        "stride": stride,
        "right": generator.randint(-4, 4),
        "position": [generator.randint(0, (side - kernel_size) // stride) for side in (rows, columns)],
    }


def by_torch(figure):
    pool = F.max_pool2d if figure.mode == "max" else F.avg_pool2d
    still = torch.tensor(figure.input, dtype=torch.float64)[None, None]
    moved = F.pad(still, (4, 4))[..., 4 - figure.right :][..., : still.shape[-1]]
    before, after = (pool(maps, figure.kernel_size, figure.stride)[0, 0] for maps in (still, moved))
    expected = {"output": after.tolist(), "result": after[tuple(figure.position)].item(), "output_size": list(after.shape)}
    if figure.right:
        expected |= {"change": (after - before).tolist(), "before": before[tuple(figure.position)].item()}
        expected |= {"input_changed": (still != moved).sum().item()}
    return expected


def by_mouse(page, figure):
    result = figure.get_by_role("grid", name="result")
    assert shown(figure, "output") == [4, 2, 2, 7]  # the chapter's numbers
    result.get_by_label("row 1, column 1").click()
    assert get(figure, "position") == [1, 1] and shown(figure, "window") == [5, 6, 7, 2] and shown(figure, "result") == [7]
    assert figure.locator(".pooled b").inner_text() == "7"
    assert figure.get_by_label("map, 4×4").locator("small").all_inner_texts() == ["max"]
    figure.locator("label", has_text="average").click()
    assert shown(figure, "output") == [2.5, 1, 1, 5] and "/ 4" in figure.locator(".pooled").inner_text()
    assert not figure.get_by_label("map, 4×4").locator("small").count(), "an average has no cell of its own"
    figure.get_by_label("map, 4×4").click(position={"x": 22, "y": 22})
    assert get(figure, "position") == [0, 0]

    figure.get_by_label("Map", exact=True).select_option("line")
    figure.locator("label", has_text="maximum").click()
    more = figure.get_by_role("button", name="Shift to the right: more")
    more.click()  # the line stays in its windows
    assert shown(figure, "output_changed") == [0] and shown(figure, "input_changed") == [8]
    more.click()  # it moves on to the next
    assert shown(figure, "output_changed") == [4] and shown(figure, "change") == [-8, 8, 0] * 2

    figure.get_by_label("Map", exact=True).select_option("digit 7")
    box = figure.get_by_role("slider", name="result").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert get(figure, "position") == [6, 6]
    assert 0 < shown(figure, "output_change")[0] < shown(figure, "input_change")[0], "pooling dampens the change"


def by_keyboard(page, figure):
    press = page.keyboard.press
    figure.get_by_role("grid", name="result").locator("[tabindex='0']").focus()
    for key, place in (("ArrowRight", [0, 1]), ("ArrowDown", [1, 1]), ("ArrowRight", [1, 1]), ("ArrowLeft", [1, 0])):
        press(key)
        assert get(figure, "position") == place
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "row 1, column 0: 2"

    for label, trait, values, refused in (
        ("Window", "kernel_size", [3, 4, 4], "A window of 5×5 does not fit into a map of 4×4."),
        ("Shift to the right", "right", [1, 2, 3, 4, 4], "Shift to the right goes from −4 to 4."),
    ):
        figure.get_by_role("textbox", name=label).focus()
        for value in values:
            press("ArrowUp")
            assert get(figure, trait) == value
        assert "".join(figure.get_by_role("alert").all_inner_texts()) == refused, "and none of before"
    assert get(figure, "position") == [0, 0], "the result has shrunk to one number"
    page.wait_for_function("text => document.querySelector('.spoken').textContent.includes(text)", arg="1 of 1 numbers changed")
