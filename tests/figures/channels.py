"""What the tests of helpers.explorables.Channels need: states, refusals, the same by torch, and how readers move it."""

import torch
import torch.nn.functional as F
from figures.convolution import get, shown

REFUSED = [
    ({"weight": [[[[10**400] * 3] * 3] * 3] * 2}, "weight must be numbers"),
    ({"position": (True, 0, 0)}, "bool True"),
    ({"bias": (1,)}, "bias"),
    ({"bias": (1, 100)}, "bias"),
    ({"bias": (0.5, 0)}, "bias"),
    ({"position": (2, 0, 0)}, "position"),
    ({"position": (0, 3, 0)}, "position"),
    ({"weight": [[1, 2], [3, 4]]}, r"weight must have shape \(2, 3, 3, 3\), got \(2, 2\)"),
    ({"weight": "nine"}, r"weight must be numbers of shape \(2, 3, 3, 3\), got 'nine'"),
    ({"weight": torch.full((2, 3, 3, 3), 0.5)}, "weight must hold whole numbers from −99 to 99"),
    ({"weight": torch.full((2, 3, 3, 3), 100)}, "weight must hold whole numbers from −99 to 99"),
    ({"compare": "yes"}, "compare"),
]


def random_state(generator):
    largest = generator.choice([1, 9, 99])
    return {
        "weight": [
            [[[generator.randint(-largest, largest) for _ in range(3)] for _ in range(3)] for _ in range(3)] for _ in range(2)
        ],
        "bias": [generator.randint(-99, 99), generator.randint(-9, 9)],
        "position": [generator.randint(0, 1), generator.randint(0, 2), generator.randint(0, 2)],
        "compare": generator.random() < 0.5,
    }


def by_torch(figure):
    image = torch.tensor([
        [[1, 1, 0], [1, 1, 0], [1, 0, 0]],
        [[2, 2, 0], [0, 2, 1], [1, 1, 1]],
        [[2, 0, 1], [2, 2, 1], [2, 0, 2]],
    ], dtype=torch.float64)  # fmt: skip
    weight, bias = (torch.tensor(value, dtype=torch.float64) for value in (figure.weight, figure.bias))
    output = F.conv2d(image[None], weight, bias, padding=1)[0]
    return {"output": output.tolist(), "sum": output[figure.position].item()}


def by_mouse(page, figure):
    maps = [figure.get_by_role("grid", name=f"map {i}", exact=True) for i in (0, 1)]
    assert shown(figure, "sums")[:3] == [0, -2, 4] and shown(figure, "sum") == [3]  # as chapter 2 writes it out
    maps[1].get_by_label("row 2, column 1").click()
    assert get(figure, "position") == [1, 2, 1] and shown(figure, "sum") == [-3]
    figure.get_by_text("Show what the slide prints").click()
    assert shown(figure, "different") == [0, 9]
    figure.get_by_role("button", name="Bias of filter 1: less").click()
    assert get(figure, "bias") == [1, -1] and shown(figure, "sum") == [-4] and shown(figure, "different") == [0, 9]
    figure.get_by_role("button", name="Back to the lecture's numbers").click()
    assert get(figure, "bias") == [1, 0] and shown(figure, "sum") == [-3]

    # What was typed belongs to the filter that was shown, even if another is chosen before it is entered.
    weight = figure.get_by_label("kernel 0 of filter 1, weight in row 1, column 1")
    weight.fill("7")
    maps[0].get_by_label("row 2, column 2").click()
    assert get(figure, "position") == [0, 2, 2] and [get(figure, "weight")[i][0][1][1] for i in (0, 1)] == [0, 7]
    figure.get_by_label("kernel 0 of filter 0, weight in row 1, column 1").fill("x")
    maps[1].get_by_label("row 0, column 0").click()
    alerts = figure.get_by_role("alert")
    assert "“x” is not a whole number from −99 to 99" in "".join(alerts.all_inner_texts())
    maps[1].get_by_label("row 0, column 0").click()
    assert get(figure, "position") == [1, 0, 0] and not "".join(alerts.all_inner_texts())


def by_keyboard(page, figure):
    press = page.keyboard.press
    figure.get_by_role("grid", name="map 0", exact=True).locator("[tabindex='0']").focus()
    for key, place in (("ArrowRight", [0, 0, 1]), ("ArrowDown", [0, 1, 1]), ("ArrowLeft", [0, 1, 0]), ("ArrowUp", [0, 0, 0])):
        press(key)
        assert get(figure, "position") == place
    figure.get_by_role("grid", name="map 1", exact=True).locator("[tabindex='0']").focus()
    press("Enter")
    assert get(figure, "position") == [1, 0, 0], "the cell where the focus is"
    figure.get_by_role("grid", name="map 0", exact=True).locator("[tabindex='0']").focus()
    press("End")
    assert get(figure, "position") == [0, 0, 2]
    press("Home")
    assert get(figure, "position") == [0, 0, 0]
    figure.get_by_label("kernel 1 of filter 0, weight in row 1, column 1").focus()
    page.keyboard.type("−3")
    press("Enter")
    assert get(figure, "weight")[0][1][1][1] == -3 and shown(figure, "sum") == [3 - 3 * 2]
    page.wait_for_function("document.querySelector('.spoken').textContent.endsWith('together −3')")
    page.keyboard.type("1/2")
    press("ArrowRight")
    assert get(figure, "weight")[0][1][1][1] == -3
    assert "“1/2” is not a whole number from −99 to 99" in " ".join(figure.get_by_role("alert").all_inner_texts())
    figure.get_by_label("Bias of filter 0", exact=True).fill("−7")
    press("Enter")
    press("ArrowUp")
    assert get(figure, "bias") == [-6, 0] and shown(figure, "bias") == [-6]
    figure.get_by_label("Bias of filter 0", exact=True).fill("100")
    press("Enter")
    assert get(figure, "bias") == [-6, 0] and "goes from −99 to 99" in " ".join(figure.get_by_role("alert").all_inner_texts())
