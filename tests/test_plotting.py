"""Figures say in words what they show, follow the page's colours, and need nothing but HTML."""

import base64
import io
import re

import numpy
import pytest
import torch
from bs4 import BeautifulSoup
from PIL import Image

from helpers import plotting
from helpers.training import History


def page(figure):
    return BeautifulSoup(figure._repr_html_(), "html.parser")


def curve():
    drawing = plotting.axes()
    drawing.plot([0, 1, 2], [3, 2, 1], label="one")
    drawing.legend()
    return plotting.drawn(drawing, alt="A line that falls from 3 to 1.")


FIGURES = {
    "image_grid": lambda: plotting.image_grid(torch.rand(3, 1, 8, 8), titles="abc", alt="Three noisy squares."),
    "weight_images": lambda: plotting.weight_images(torch.randn(10, 784), alt="Ten noisy squares."),
    "kernels": lambda: plotting.kernels(torch.randn(4, 2, 3, 3), alt="Eight kernels."),
    "activation_maps": lambda: plotting.activation_maps(torch.rand(4, 6, 6), alt="Four maps."),
    "loss_curves": lambda: plotting.loss_curves({"run": [3.0, 2.0, 1.0]}, alt="A curve that falls."),
    "row": lambda: plotting.row(plotting.number_grid([[1, 2], [3, 4]]), "=", alt="One matrix."),
    "drawn": curve,
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_one_image_with_a_name_and_a_stable_text(name):
    figure = FIGURES[name]()
    named = page(figure).select("[role=img]")
    assert [image["aria-label"] for image in named] == [figure.alt]
    assert repr(figure) == f"Figure: {figure.alt}"
    assert all(image["alt"] == "" for image in page(figure).select("[role=img] img")), "inner images are part of the one"


def test_alt_text_is_demanded_and_escaped():
    with pytest.raises(ValueError, match="alt text"):
        plotting.row(plotting.number_grid([[1]]), alt=" ")
    figure = plotting.row(plotting.number_grid([[1]]), alt='less than < and "quotes"')
    assert page(figure).select_one("[role=img]")["aria-label"] == 'less than < and "quotes"'


def test_a_drawing_takes_its_colours_from_the_page_and_holds_no_repeated_names():
    html = curve()._repr_html_()
    assert "currentColor" in html and "var(--figure-accent" in html
    ink_left = [colour for colour in plotting.PAGE_COLOURS if f" {colour}" in html.replace(f", {colour})", "")]
    assert not ink_left
    two = BeautifulSoup(html + FIGURES["loss_curves"]()._repr_html_(), "html.parser")
    groups = [group["id"] for group in two.select("g[id]")]
    assert len(groups) == len(set(groups))
    assert not two.select("metadata") and "<!DOCTYPE" not in html


def test_no_two_drawings_share_an_id_and_every_reference_has_its_target():
    def hatched(height):
        drawing = plotting.axes()
        drawing.bar([0, 1], [height, 2], hatch="//")
        return plotting.drawn(drawing, alt="Two hatched bars.")

    frames = page(plotting.frames([hatched(1), hatched(3), curve()], ["1", "3", "line"], alt="Two bars, or a line."))
    names = [element["id"] for element in frames.select("svg [id]")]
    assert names and len(set(names)) == len(names)
    references = set(re.findall(r"(?:url\(|href=\")#([^)\"]+)", str(frames.select(".stack")[0])))
    assert references and references <= set(names)


def test_no_legend_puts_a_white_box_on_a_dark_page():
    for legend_of in (lambda drawing: drawing, lambda drawing: drawing.figure):
        drawing = plotting.axes()
        drawing.plot([0, 1], [0, 1], label="one")
        legend_of(drawing).legend()
        assert "#ffffff" not in plotting.drawn(drawing, alt="A line.").body


def test_drawing_twice_gives_the_same_html():
    assert curve()._repr_html_() == curve()._repr_html_()


def test_images_keep_their_pixels():
    image = torch.linspace(0, 1, 12).reshape(3, 4)
    source = page(plotting.image_grid([image], limits=(0, 1), alt="A ramp.")).img["src"]
    pixels = numpy.asarray(Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))).convert("L"))
    assert pixels.shape == (3, 4)
    assert numpy.abs(pixels / 255 - image.numpy()).max() < 0.01


def test_signed_images_put_zero_in_the_middle_of_a_printed_scale():
    figure = plotting.image_grid([torch.tensor([[-0.5, 0.25]])], signed=True, alt="Two values.")
    scale = page(figure).select_one(".scale")
    assert scale.get_text() == "−0.50+0.50"
    # The scale ends in the colour of the largest value, and begins with that of the smallest.
    stops = re.findall(r"rgb\((\d+),(\d+),(\d+)\)", scale.i["style"])
    ends = plotting.image_grid([torch.tensor([[-0.5, 0.5]])], signed=True, alt="Two values.")
    source = page(ends).img["src"]
    pixels = Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))).convert("RGB")
    shown = [[int(part) for part in stop] for stop in (stops[0], stops[-1])]
    assert numpy.abs(numpy.array(shown) - [pixels.getpixel((0, 0)), pixels.getpixel((1, 0))]).max() <= 1


@pytest.mark.parametrize(
    ("images", "titles", "words"),
    [([], None, "at least one"), ([torch.rand(2, 4, 4)], None, r"shape .* got \(2, 4, 4\)"), ([torch.rand(4, 4)], ["a", "b"], "1 images")],
)
def test_image_grid_says_what_is_wrong(images, titles, words):
    with pytest.raises(ValueError, match=words):
        plotting.image_grid(images, titles=titles, alt="Nothing.")


def test_weight_images_need_a_square_number_of_inputs():
    with pytest.raises(ValueError, match="square number of inputs, got 10"):
        plotting.weight_images(torch.rand(2, 10), alt="Nothing.")


def test_loss_curves_average_and_take_histories():
    history = History(steps_per_epoch=4, batch_size=1, seed=0, losses=[4.0, 2.0, 2.0, 0.0])
    figure = plotting.loss_curves({"first run": history, "second run": [1.0]}, smooth=2, alt="Two curves.")
    assert all(words in page(figure).get_text() for words in ("first run", "second run", "mean of 2 steps"))
    with pytest.raises(ValueError, match="no loss"):
        plotting.loss_curves({"a": []}, alt="Nothing.")


def test_number_grids_mark_cells_and_leave_blanks():
    grid = BeautifulSoup(plotting.number_grid([[1, None], [-2.5, float("nan")]], marked={(1, 0)}, digits=1), "html.parser")
    assert [cell.get_text() for cell in grid.select(".numbers span")] == ["1.0", "", "−2.5", ""]
    assert [cell.get_text() for cell in grid.select(".marked")] == ["−2.5"]


def test_frames_are_radio_buttons_with_one_picture_each():
    pictures = [FIGURES["row"](), FIGURES["drawn"]()]
    figure = plotting.frames(pictures, ["first", "second"], alt="Two pictures.")
    soup = page(figure)
    buttons = soup.select("input[type=radio]")
    assert [soup.select_one(f"label[for={button['id']}]").get_text() for button in buttons] == ["first", "second"]
    assert len({button["name"] for button in buttons}) == 1 and buttons[0].has_attr("checked")
    assert [frame.select_one("[role=img]")["aria-label"] for frame in soup.select(".frame")] == [p.alt for p in pictures]
    assert not soup.select("script")
    with pytest.raises(ValueError, match="as many labels"):
        plotting.frames(pictures, ["one"], alt="Nothing.")


def test_tables_show_what_they_are_given():
    table = plotting.table(["name", "count"], [("a", 1), ("<b>", 2)], caption="Counts.")
    assert [cell.get_text() for cell in page(table).select("td")] == ["a", "1", "<b>", "2"]
    assert repr(table) == "Table: Counts."
