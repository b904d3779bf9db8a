"""What the tests of helpers.explorables.Convolution need: states, refusals, the same by torch, and how readers move it."""

import torch
import torch.nn.functional as F

CROSS = [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
REFUSED = [
    ({"kernel": [[1] * 6] * 6}, "a kernel of 6×6 does not fit into an image of 5×5"),
    ({"image": [[1, 2], [3, 4]]}, "a kernel of 3×3 does not fit into an image of 2×2"),
    ({"image": [[0.5]] * 65}, r"image must have shape \(rows, columns\), each from 1 to 64, got \(65, 1\)"),
    ({"image": torch.zeros(1, 5, 5)}, r"image must have shape \(rows, columns\), each from 1 to 64, got \(1, 5, 5\)"),
    ({"kernel": [[1, 2], [3]]}, "kernel must be rows of numbers, all of the same length"),
    ({"kernel": [["a"]]}, "kernel must be rows of numbers"),
    ({"kernel": [[10**400]]}, "kernel must be rows of numbers"),
    ({"kernel": [[1j]]}, "kernel must be rows of numbers"),
    ({"kernel": torch.eye(3).to_sparse()}, "kernel must be rows of numbers"),
    ({"position": (True, 1)}, "bool True"),
    ({"kernel": [[float("nan")]]}, "kernel must hold numbers from −1000 to 1000, got nan"),
    ({"kernel": [[1001]]}, "kernel must hold numbers from −1000 to 1000, got 1001"),
    ({"position": (3, 0)}, r"the map has rows 0 to 2 and columns 0 to 2, got position \(3, 0\)"),
    ({"position": (0, -1)}, r"the map has rows 0 to 2 and columns 0 to 2, got position \(0, -1\)"),
    ({"position": (0, 0.5)}, "expected an int"),
    ({"mode": "correlation"}, "cross-correlation.*convolution"),
    ({"whole": "yes"}, "whole"),
]


def random_state(generator):
    rows, columns = generator.choice([(5, 5), (3, 7), (28, 28), (generator.randint(1, 16), generator.randint(1, 16))])
    kernel_rows, kernel_columns = generator.randint(1, min(rows, 7)), generator.randint(1, min(columns, 7))
    bit, hundredth = lambda: generator.randint(0, 1), lambda: generator.randint(0, 100) / 100
    pixel = generator.choice([bit, hundredth, lambda: generator.uniform(-9, 9)])
    weight = generator.choice([lambda: generator.randint(-9, 9), lambda: 1 / 9, lambda: generator.uniform(-2, 2)])
    return {
        "image": [[pixel() for _ in range(columns)] for _ in range(rows)],
        "kernel": [[weight() for _ in range(kernel_columns)] for _ in range(kernel_rows)],
        "position": [generator.randint(0, rows - kernel_rows), generator.randint(0, columns - kernel_columns)],
        "mode": generator.choice(["cross-correlation", "convolution"]),
        "whole": generator.random() < 0.5,
    }


def by_torch(figure):
    image, kernel = (torch.tensor(rows, dtype=torch.float64)[None, None] for rows in (figure.image, figure.kernel))
    kernel = kernel.flip(2, 3) if figure.mode == "convolution" else kernel
    output = F.conv2d(image, kernel)[0, 0]
    passed = output.flatten().tolist()[: figure.position[0] * output.shape[1] + figure.position[1] + 1]
    return {
        "sum": output[tuple(figure.position)].item(),
        "output_size": list(output.shape),
        "output": output.tolist() if figure.whole else passed,
    }


def get(figure, trait):
    return figure.evaluate("(figure, trait) => figure.model.get(trait)", trait)


def shown(figure, name):
    numbers = (
        "(figure, name) => [...figure.querySelectorAll(`[data-value=${name}]`)].map(shown => Number(shown.dataset.number))"
    )
    return figure.evaluate(numbers, name)


def by_mouse(page, figure):
    image, output = figure.get_by_label("image, 5×5"), figure.get_by_role("grid", name="activation map")
    output.get_by_label("row 2, column 1").click()
    assert get(figure, "position") == [2, 1] and shown(figure, "sum") == [3]
    image.click(position={"x": 22, "y": 22})  # the window comes as near as it can
    assert get(figure, "position") == [0, 0]
    figure.get_by_role("button", name="Next").click()
    assert get(figure, "position") == [0, 1] and shown(figure, "output") == [4, 3]
    figure.get_by_text("Show the whole map").click()
    assert shown(figure, "output") == [4, 3, 4, 2, 4, 3, 2, 3, 4]  # as on the lecture's slide
    figure.get_by_role("button", name="First").click()
    assert get(figure, "position") == [0, 0]

    figure.get_by_role("button", name="Draw on the image").click()
    image = figure.get_by_role("grid", name="image")
    start, end = (
        (box["x"] + 9, box["y"] + 9) for box in (image.get_by_label(f"row 4, column {i}").bounding_box() for i in (0, 3))
    )
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=9)
    page.mouse.up()
    assert get(figure, "image")[4] == [1, 1, 1, 1, 0], "what the stroke began with, ink, it draws"
    figure.get_by_label("weight in row 0, column 0").fill("7")
    output.get_by_label("row 2, column 1").click()
    figure.get_by_label("Image", exact=True).select_option("blank, to draw on")
    assert get(figure, "kernel") == [[7, 0, 1], *CROSS[1:]], "what was typed counts"
    box = figure.get_by_role("slider", name="image, 12×12").bounding_box()
    for row, ends in ((2, (0.5, 11.5)), (7, (6.5, 30))):  # in one go; and out of the picture, where nothing is drawn
        places = [(box["x"] + column * box["width"] / 12, box["y"] + (row + 0.5) * box["height"] / 12) for column in ends]
        page.mouse.move(*places[0])
        page.mouse.down()
        page.mouse.move(*places[1])
        page.mouse.move(places[1][0], places[1][1] + box["height"] / 4)
        page.mouse.up()
    drawn = get(figure, "image")
    assert drawn[2] == [1] * 12 and drawn[7] == [0] * 6 + [1] * 6 and sum(map(sum, drawn)) == 21, "no gaps"

    figure.get_by_label("Kernel", exact=True).select_option("numbers 1 to 9")
    figure.get_by_label("Image", exact=True).select_option("one bright pixel")
    assert shown(figure, "output") == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    figure.locator("label", has_text="convolution").last.click()
    assert get(figure, "mode") == "convolution" and shown(figure, "output") == [1, 2, 3, 4, 5, 6, 7, 8, 9]

    figure.get_by_label("Image", exact=True).select_option("digit 7")
    box = figure.get_by_role("slider", name="activation map").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert get(figure, "position") == [13, 13]
    weight, alerts = figure.get_by_label("weight in row 0, column 0"), figure.get_by_role("alert")
    figure.get_by_role("button", name="First").click()
    figure.get_by_role("button", name="Play").click()
    weight.fill("abc")
    page.keyboard.press("Enter")
    page.wait_for_timeout(400)
    assert "“abc” is not a number" in "".join(alerts.all_inner_texts()), "it waits until that is read"
    weight.fill("5")
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert get(figure, "kernel")[0][0] == 5 and not "".join(alerts.all_inner_texts())
    figure.get_by_role("button", name="First").click()
    figure.get_by_role("button", name="Play").click()
    page.wait_for_function("f => f.model.get('position')[1] > 2", arg=figure.element_handle())
    figure.get_by_role("button", name="Pause").click()
    stopped = get(figure, "position")
    page.wait_for_timeout(200)
    assert get(figure, "position") == stopped


def by_keyboard(page, figure):
    press = page.keyboard.press
    figure.get_by_role("grid", name="activation map").locator("[tabindex='0']").focus()
    for way, place in (("Right", [0, 1]), ("Down", [1, 1]), ("Left", [1, 0]), ("Up", [0, 0]), ("Up", [0, 0])):
        press(f"Arrow{way}")
        assert get(figure, "position") == place
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "row 0, column 0: 4"

    figure.get_by_label("weight in row 0, column 0").focus()
    press("ArrowRight")
    page.keyboard.type("−1/2")
    press("Enter")
    assert get(figure, "kernel") == [[1, -0.5, 1], *CROSS[1:]] and shown(figure, "sum") == [3.5]
    page.wait_for_function("document.querySelector('.spoken').textContent === 'Row 0, column 0 of the map: 3.5'")
    page.keyboard.type("x")
    press("ArrowDown")
    assert get(figure, "kernel") == [[1, -0.5, 1], *CROSS[1:]]
    assert "“x” is not a number from −1000 to 1000" in figure.get_by_role("alert").all_inner_texts()[0]
    page.keyboard.type("7")
    press("Escape")
    press("Tab")
    assert get(figure, "kernel") == [[1, -0.5, 1], *CROSS[1:]]

    figure.get_by_label("Image", exact=True).select_option("blank, to draw on")
    figure.get_by_role("slider", name="image, 12×12").focus()
    for key in ("ArrowRight", "ArrowDown", "Space", "ArrowRight", "Enter"):
        press(key)
    assert get(figure, "image")[1][:4] == [0, 1, 1, 0]
    assert page.evaluate("document.activeElement.getAttribute('aria-valuetext')") == "row 1, column 2: 1"
    press("Space")
    assert get(figure, "image")[1][:4] == [0, 1, 0, 0]

    figure.evaluate("figure => figure.model.set('kernel', Array(6).fill(Array(6).fill(1)))")
    figure.get_by_label("Image", exact=True).select_option("lecture's 5×5")
    assert len(get(figure, "image")) == 12, "the choice is refused"
    assert "A kernel of 6×6 does not fit into an image of 5×5" in " ".join(figure.get_by_role("alert").all_inner_texts())
