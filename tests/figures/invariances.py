"""What the tests of helpers.explorables.Invariances need: states, refusals, the same by torch, and how readers move it."""

import math

import torch
import torch.nn.functional as F

from helpers import mnist, trained
from helpers.explorables.invariances import SLIDERS

REFUSED = [
    ({"digit": -1}, "digit"),
    ({"translate": (15, 0)}, r"translate \(right\) goes from -14 to 14, got 15"),
    ({"translate": (0, -14.5)}, r"translate \(down\) goes from -14 to 14, got -14.5"),
    ({"rotate": 181}, "rotate goes from -180 to 180, got 181"),
    ({"scale": 0}, "scale goes from 0.2 to 2, got 0"),
    ({"stretch": math.nan}, "stretch goes from 0.2 to 3, got nan"),
    ({"shear": 90}, "shear goes from -70 to 70, got 90"),
    ({"moving": "translate"}, "right.*shear"),
    ({"network": "none"}, "both"),
]


def random_state(generator):
    amounts = {}
    for name, (low, high, _, nothing, _) in SLIDERS.items():
        amounts[name] = generator.choice(
            [nothing, nothing + 0.3 * (generator.uniform(low, high) - nothing), generator.uniform(low, high)]
        )
    translate = [amounts.pop("right"), amounts.pop("down")]
    return {
        "digit": generator.randint(0, 9),
        "translate": translate,
        **amounts,
        "moving": generator.choice([*SLIDERS]),
        "network": generator.choice(["both", *trained.NAMES]),
    }


def by_torch(figure):
    images, labels = mnist.load("test")
    digit = (images[labels == figure.digit][:1].double() * 255).round() / 255
    turn, lean = math.radians(figure.rotate), math.tan(math.radians(figure.shear))
    # y is down, so a turn counter-clockwise as seen takes (1, 0) to (cos, −sin).
    forward = figure.scale * torch.tensor(
        [[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]], dtype=torch.float64
    )
    forward = (
        forward
        @ torch.tensor([[1, -lean], [0, 1]], dtype=torch.float64)
        @ torch.tensor([[figure.stretch, 0], [0, 1]], dtype=torch.float64)
    )
    inverse = torch.linalg.inv(forward)
    shift = torch.tensor(figure.translate, dtype=torch.float64)[:, None] / 14
    grid = F.affine_grid(torch.cat([inverse, -inverse @ shift], 1)[None], digit.shape, align_corners=False)
    image = F.grid_sample(digit, grid, align_corners=False)
    expected = {"image": image[0, 0].tolist()}
    for name in trained.NAMES if figure.network == "both" else (figure.network,):
        with torch.no_grad():
            expected[f"{name}_probabilities"] = trained.load(name).double()(image)[0].softmax(0).tolist()
    return expected


def get(figure, trait):
    return figure.evaluate("(figure, trait) => figure.model.get(trait)", trait)


def shown(figure, name):
    return [
        float(text)
        for text in figure.evaluate(
            "(f, name) => [...f.querySelectorAll(`[data-value=${name}]`)].map(e => e.dataset.number)", name
        )
    ]


def by_mouse(page, figure):
    plain, augmented = shown(figure, "plain_range"), shown(figure, "augmented_range")
    assert augmented[0] < plain[0] < 0 < plain[1] < augmented[1], "the augmented network forgives larger shifts"
    box = figure.get_by_role("slider", name="the digit").bounding_box()
    pixel = box["width"] / 28
    page.mouse.move(box["x"] + 14.5 * pixel, box["y"] + 14.5 * pixel)
    page.mouse.down()
    page.mouse.move(box["x"] + 21.5 * pixel, box["y"] + 14.5 * pixel, steps=7)
    page.mouse.up()
    assert get(figure, "translate") == [7, 0] and get(figure, "moving") == "right"
    page.mouse.move(box["x"] + 14.5 * pixel, box["y"] + 14.5 * pixel)
    page.mouse.down()
    page.mouse.move(box["x"] + 50 * pixel, box["y"] + 14.5 * pixel, steps=5)
    assert get(figure, "translate") == [14, 0]
    page.mouse.move(box["x"] + 14.5 * pixel, box["y"] + 14.5 * pixel, steps=5)
    page.mouse.up()
    assert get(figure, "translate") == [7, 0], "back where it was"
    assert shown(figure, "plain_probabilities")[6] < 0.5, "the digit is no longer in the middle"
    assert [shown(figure, "plain_range"), shown(figure, "augmented_range")] == [plain, augmented]
    figure.get_by_role("button", name="Back").click()
    assert get(figure, "translate") == [0, 0] and shown(figure, "plain_probabilities")[6] > 0.9

    figure.locator(".radios label", has_text="Rotate").click()
    assert get(figure, "moving") == "rotate" and len(figure.locator(".strip").first.evaluate("strip => strip.numbers")) == 73
    slider = figure.get_by_role("slider", name="Rotate").bounding_box()
    page.mouse.click(slider["x"] + 0.75 * slider["width"], slider["y"] + slider["height"] / 2)
    assert abs(get(figure, "rotate") - 90) <= 5
    figure.locator(".radios label", has_text="plain").click()
    assert get(figure, "network") == "plain" and figure.locator(".strip").count() == 1
    assert not figure.get_by_text("augmented network").is_visible()
    figure.evaluate("figure => figure.model.set('rotate', 180)")
    assert max(range(10), key=shown(figure, "plain_probabilities").__getitem__) == 9, "a 6 upside down"
    figure.evaluate("figure => figure.model.set({moving: 'scale'})")
    assert "plain: wrong already at 1 times" in figure.inner_text()
    figure.get_by_label("Digit", exact=True).select_option("a 9")
    assert max(range(10), key=shown(figure, "plain_probabilities").__getitem__) == 6


def by_keyboard(page, figure):
    press = page.keyboard.press
    figure.get_by_role("slider", name="the digit").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowUp"):
        press(key)
    assert get(figure, "translate") == [2, -1] and get(figure, "moving") == "down"
    assert page.evaluate("document.activeElement.getAttribute('aria-valuetext')") == "moved 2 px to the right, −1 px down"
    press("Tab")
    press("Enter")
    assert get(figure, "translate") == [0, 0]
    press("Tab")
    press("ArrowRight")
    assert get(figure, "moving") == "rotate"
    press("Tab")
    for _ in range(4):
        press("ArrowRight")
    assert get(figure, "rotate") == 20 and figure.locator("output:visible").inner_text() == "20°"
    press("Home")
    assert get(figure, "rotate") == -180 and shown(figure, "plain_probabilities")[6] < 0.5
    page.wait_for_timeout(400)
    assert "plain: " in figure.locator(".spoken").inner_text()
