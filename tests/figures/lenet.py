"""What the tests of helpers.explorables.LeNet need: states, refusals, the same by torch, and how readers move it."""

import torch
import torch.nn.functional as F

from helpers import mnist, trained
from helpers.explorables.data import MISREAD
from helpers.explorables.lenet import DRAWN

REFUSED = [
    ({"digit": True}, "bool True"),
    ({"digit": 10}, "digit"),
    ({"network": "best"}, "plain.*augmented"),
    ({"image": [[0] * 28] * 27}, r"image must be an image of 28×28 numbers from 0 \(paper\) to 1 \(ink\), or None"),
    ({"image": [[0] * 28] * 27 + [[0] * 27 + [1.01]]}, "28×28 numbers from 0"),
    ({"image": torch.zeros(1, 28, 28)}, r"got \(1, 28, 28\)"),
    ({"unit": ("pool1", 6, 0, 0)}, "pool1 has 6 maps of 14×14, got map 6, row 0, column 0"),
    ({"unit": ("relu3", 0, 1, 0)}, "relu3 has 120 maps of 1×1, got map 0, row 1, column 0"),
    ({"unit": ("pool1", -1, 0, 0)}, "got map -1, row 0, column 0"),
    ({"unit": ("softmax", 0, 0, 0)}, "unit"),
]


def random_state(generator):
    drawn = [[generator.choice([0, 0, 0, 1, generator.randint(0, 100) / 100]) for _ in range(28)] for _ in range(28)]
    layer = generator.choice([*DRAWN])
    return {
        "digit": generator.randint(0, 9),
        "misread": generator.random() < 0.5,
        "image": generator.choice([None, drawn]),
        "network": generator.choice(trained.NAMES),
        "unit": generator.choice([None, [layer, *(generator.randrange(size) for size in DRAWN[layer][0])]]),
    }


def by_torch(figure):
    weights = {name: weight.double() for name, weight in trained.load(figure.network).state_dict().items()}
    images, labels = mnist.load("test")
    index = MISREAD[figure.digit] if figure.misread else (labels == figure.digit).nonzero()[0].item()
    image = (
        (images[index, 0].double() * 255).round() / 255
        if figure.image is None
        else torch.tensor(figure.image, dtype=torch.float64)
    )

    def layer(name):
        return weights[f"layers.{name}.weight"], weights[f"layers.{name}.bias"]

    maps = image[None, None]
    maps = F.max_pool2d(F.conv2d(maps, *layer("conv1"), padding=2).relu(), 2)
    maps = F.max_pool2d(F.conv2d(maps, *layer("conv2")).relu(), 2)
    logits = F.linear(F.linear(F.linear(maps.flatten(1), *layer("fc1")).relu(), *layer("fc2")).relu(), *layer("fc3"))[0]
    best = logits.softmax(0).topk(2)
    return {
        "logits": logits.tolist(),
        "probabilities": logits.softmax(0).tolist(),
        "answers": best.indices.tolist(),
        "best": best.values.tolist(),
    }


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
    assert shown(figure, "answers")[0] == 7
    figure.get_by_label("Digit", exact=True).select_option("a 4, misread")
    assert shown(figure, "answers") == [9, 4] and "The label says 4." in figure.locator(".answer").inner_text()
    figure.locator("label", has_text="distorted at random").click()
    assert shown(figure, "answers")[0] == 4, "the augmented network reads it"

    # A 1 and then a 7 are drawn, off the middle, and centred.
    figure.locator("label", has_text="as they are").click()
    figure.get_by_role("button", name="Clear").click()
    assert not any(map(any, get(figure, "image"))) and "Nothing is drawn" in figure.locator(".answer").inner_text()
    figure.get_by_role("button", name="Centre").click()
    assert "Nothing is drawn yet" in " ".join(figure.get_by_role("alert").all_inner_texts())
    box = figure.get_by_role("slider", name="image, 28×28").bounding_box()

    def line(*places, steps=12):
        points = [
            (box["x"] + (column + 0.5) * box["width"] / 28, box["y"] + (row + 0.5) * box["height"] / 28)
            for row, column in places
        ]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point, steps=steps)
        page.mouse.up()

    line((5, 16), (23, 16))
    assert shown(figure, "answers")[0] == 1
    image = torch.tensor(get(figure, "image"))
    assert (
        image[8:20, 14:19].allclose(torch.tensor([0, 0.9, 1, 0.9, 0]))
        and not image[8:20, :14].any()
        and not image[8:20, 19:].any()
    )
    line((5, 6), (5, 16))
    assert shown(figure, "answers")[0] == 7
    figure.get_by_role("button", name="Centre").click()
    image = torch.tensor(get(figure, "image"))
    places = torch.arange(28.0)
    assert (
        abs((image.sum(0) * places).sum() / image.sum() - 14) <= 0.5
        and abs((image.sum(1) * places).sum() / image.sum() - 14) <= 0.5
    )
    assert shown(figure, "answers")[0] == 7
    figure.locator("label", has_text="eraser").click()
    for row in (7, 8, 9):
        line((row, 0), (row, 27))
    assert image[7:10].sum() > 10 and not any(map(any, get(figure, "image")[7:10]))

    figure.locator("label", has_text="ink").click()
    figure.get_by_role("button", name="Clear").click()
    line((10, 4), (10, 20), steps=1)
    assert get(figure, "image")[10][4:21] == [1] * 17, "a quick stroke ends where the hand lifts"
    assert figure.get_by_role("slider", name="image, 28×28").get_attribute("aria-valuetext") == "row 10, column 20: 1"
    line((20, 14), (20, 40), (26, 40), (26, 25))
    drawn = torch.tensor(get(figure, "image"))
    assert drawn[20, 14:].all() and drawn[26, 26:].all() and not drawn[22:25].any(), "nothing is drawn beside the picture"
    figure.get_by_role("button", name="Clear").click()
    line((1, 1), (26, 1), (26, 26))
    drawn = torch.tensor(get(figure, "image")).sum()
    for _ in range(2):
        figure.get_by_role("button", name="Centre").click()
        assert "without cutting off ink" in " ".join(figure.get_by_role("alert").all_inner_texts())
        assert torch.isclose(torch.tensor(get(figure, "image")).sum(), drawn)

    figure.get_by_label("Digit", exact=True).select_option("a 4")
    maps = figure.get_by_role("slider", name="pool1")
    maps.scroll_into_view_if_needed()
    box = maps.bounding_box()
    page.mouse.click(box["x"] + box["width"] * (2 * 15 + 7.5) / 89, box["y"] + box["height"] * 5.5 / 14)
    assert get(figure, "unit") == ["pool1", 2, 5, 7]
    assert shown(figure, "activation") == [max(shown(figure, "window"))] and shown(figure, "field") == [6, 6]


def by_keyboard(page, figure):
    press = page.keyboard.press
    figure.get_by_label("Digit", exact=True).focus()
    press("End")
    assert get(figure, "image") == [[0] * 28] * 28
    figure.get_by_role("slider", name="image, 28×28").focus()
    for key in ["ArrowDown"] * 5 + ["ArrowRight"] * 14:
        press(key)
    for _ in range(18):
        press("Space")
        press("ArrowDown")
    image = get(figure, "image")
    assert image[12][12:17] == [0, 0.9, 1, 0.9, 0] and shown(figure, "answers")[0] == 1
    assert page.evaluate("document.activeElement.getAttribute('aria-valuetext')") == "row 23, column 14: 0.9"

    framed = "frame => Math.round(28 * parseFloat(frame.style.width) / 100)"
    assert figure.locator(".drawn .frame").evaluate(framed) == 1, "the pen"
    figure.get_by_label("Digit", exact=True).focus()
    press("Home")
    for key, unit in (("ArrowDown", [0, 1, 0]), ("ArrowRight", [0, 1, 1])):
        figure.get_by_role("slider", name="pool2").focus()
        press(key)
        assert get(figure, "unit") == ["pool2", *unit]
    assert figure.locator(".drawn .frame").evaluate(framed) > 10, "no longer the pen, but the pixels that the unit sees"
    for _ in range(4):
        press("ArrowRight")
    assert get(figure, "unit") == ["pool2", 1, 1, 0], "over the gap into the next map"
    for _ in range(4):
        press("ArrowDown")
    assert get(figure, "unit") == ["pool2", 9, 0, 0]
    press("ArrowLeft")
    assert get(figure, "unit") == ["pool2", 8, 0, 4]
    figure.get_by_role("slider", name="fc1").focus()
    press("ArrowRight")
    assert get(figure, "unit") == ["relu3", 1, 0, 0] and shown(figure, "terms") == [400]
    products, bias, before = (shown(figure, name)[0] for name in ("products", "bias", "before"))
    assert abs(products + bias - before) < 1e-9 and shown(figure, "activation") == [max(0, before)]
