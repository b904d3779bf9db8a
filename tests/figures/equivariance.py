"""What the tests of helpers.explorables.Equivariance need: states, refusals, the same by torch, and how readers move it."""

import torch
import torch.nn.functional as F
from figures.convolution import get, shown

from helpers import trained
from helpers.explorables.equivariance import OPERATIONS, SOBEL

REFUSED = [
    ({"image": "digit 10"}, "digit 9.*photograph"),
    ({"operation": "pooling"}, "convolution.*stride 2"),
    ({"channel": 6}, "channel"),
    ({"down": 9}, "down"),
    ({"right": -9}, "right"),
    ({"right": 0.5}, "right"),
    ({"right": True}, "bool True"),
]


def random_state(generator):
    return {
        "image": generator.choice([*(f"digit {digit}" for digit in range(10)), "photograph"]),
        "operation": generator.choice(list(OPERATIONS)),
        "channel": generator.randint(0, 5),
        "down": generator.randint(-8, 8),
        "right": generator.randint(-8, 8),
    }


def by_torch(figure):
    image = figure._image()
    height, width = image.shape[2:]
    moved = F.pad(image, (8, 8, 8, 8))[
        ..., 8 - figure.down : 8 - figure.down + height, 8 - figure.right : 8 - figure.right + width
    ]
    layers = trained.load("plain").double().layers
    layer = {
        "convolution": lambda images: F.conv2d(images, SOBEL),
        "convolution, padding 1": lambda images: F.conv2d(images, SOBEL, padding=1),
        "convolution, stride 2": lambda images: F.conv2d(images, SOBEL, stride=2),
        "max pooling, stride 2": lambda images: F.max_pool2d(images, 2),
        "LeNet's first stage": lambda images: layers[:3](images)[:, figure.channel : figure.channel + 1],
    }[figure.operation]
    with torch.no_grad():
        return {"moved": layer(moved)[0, 0].tolist()}


def by_mouse(page, figure):
    assert shown(figure, "inside_differ") == shown(figure, "border_differ") == [0]
    image = figure.get_by_role("slider", name="image, shifted")
    box = image.bounding_box()
    pixel, (x, y) = box["width"] / 28, (box["x"] + box["width"] / 2 + 1, box["y"] + box["height"] / 2 + 1)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 2 * pixel, y + pixel, steps=5)
    page.mouse.up()
    assert (get(figure, "down"), get(figure, "right")) == (3, 1), "it follows the pointer, from where it was"
    assert shown(figure, "map_shift") == [3, 1] and shown(figure, "inside_differ") == [0]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] + 3 * pixel, y, steps=5)  # out of the picture
    page.mouse.up()
    assert (get(figure, "down"), get(figure, "right")) == (3, 8)
    figure.evaluate("figure => figure.model.set({down: 0, right: 0})")
    assert "At the border" not in figure.locator(".comparison").inner_text(), "the frame is the whole map"
    figure.evaluate("figure => figure.model.set({down: 3, right: 1})")

    figure.get_by_label("Layer").select_option("convolution, stride 2")
    assert shown(figure, "inside_differ")[0] > 0 and shown(figure, "error")[0] > 0.1
    assert "1.5 and 0.5 cells of the map" in figure.locator(".comparison").inner_text()
    for label in ("Shift down", "Shift to the right"):
        figure.get_by_role("button", name=f"{label}: more").click()
    assert shown(figure, "inside_differ") == [0] and shown(figure, "map_shift") == [2, 1]

    figure.get_by_label("Layer").select_option("convolution, padding 1")
    figure.get_by_label("Image", exact=True).select_option("photograph")
    assert shown(figure, "inside_differ") == [0] and shown(figure, "border_differ")[0] > 100, (
        "the photograph goes on at its border"
    )
    assert not figure.get_by_label("Its map", exact=True).is_visible()
    figure.get_by_label("Layer").select_option("LeNet's first stage")
    figure.get_by_role("button", name="Its map: more").click()
    assert get(figure, "channel") == 1 and shown(figure, "inside_differ") == [0]


def by_keyboard(page, figure):
    press = page.keyboard.press
    figure.get_by_role("slider", name="image, shifted").focus()
    for key, shift in (("ArrowUp", [1, 3]), ("ArrowLeft", [1, 2]), ("ArrowDown", [2, 2]), ("ArrowRight", [2, 3])):
        press(key)
        assert [get(figure, "down"), get(figure, "right")] == shift
    for _ in range(7):
        press("ArrowRight")
    assert get(figure, "right") == 8, "as far as it goes"
    assert page.evaluate("document.activeElement.getAttribute('aria-valuetext')") == "2 down, 8 to the right"
    page.wait_for_function("() => document.querySelector('.spoken').textContent.startsWith('Equivariant for this shift')")
    figure.get_by_role("textbox", name="Shift down").fill("5")
    press("ArrowDown")
    assert get(figure, "down") == 4, "from what was typed"
    page.keyboard.press("Control+a")
    page.keyboard.type("1.5")
    press("Enter")
    assert "in whole numbers" in "".join(figure.get_by_role("alert").all_inner_texts())
    figure.evaluate("figure => figure.model.set('down', 2)")
    figure.get_by_role("textbox", name="Shift down").fill("9")
    press("Enter")
    assert get(figure, "down") == 2 and "Shift down goes from −8 to 8." in " ".join(
        figure.get_by_role("alert").all_inner_texts()
    )
