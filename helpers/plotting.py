"""Pictures with a description in words, that follow the page: light or dark, wide or narrow, with or without JavaScript.

A :class:`Figure` is plain HTML and SVG. Chapters make most of theirs with the functions below, and draw the rest on
:func:`axes` with matplotlib.
"""

import base64
import hashlib
import io
import re
from html import escape

import numpy
import torch
from matplotlib import colormaps, rc_context
from matplotlib.figure import Figure as Canvas
from PIL import Image

INK = "#1f2328"
MUTED = "#6b7280"
ACCENT = "#1d6fa5"
SECOND = "#b4530a"
THIRD = "#6b4fbb"
# Written in place of the colours above, so that one drawing suits a light and a dark page.
PAGE_COLOURS = {
    INK: "currentColor",
    MUTED: f"var(--figure-muted, {MUTED})",
    ACCENT: f"var(--figure-accent, {ACCENT})",
    SECOND: f"var(--figure-second, {SECOND})",
    THIRD: f"var(--figure-third, {THIRD})",
}
STYLE = {
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": f"cycler(color=['{ACCENT}', '{SECOND}', '{THIRD}', '{MUTED}']) + cycler(linestyle=['-', '--', '-.', ':'])",
    "grid.color": MUTED,
    "grid.alpha": 0.25,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "font.size": 12,
    "axes.labelsize": 12,
    "axes.titlesize": 12,
    "path.simplify_threshold": 0.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "convolution by hand",
}
SIGNED_COLOURS = "cividis"  # its lightness grows from negative to positive, so it reads without colour too
SHEET = """<style>
.handmade{margin:1rem 0;line-height:1.3}
.handmade figcaption{font-size:.9em;max-width:44em;margin:.4rem auto 0}
.handmade .panels{display:flex;flex-wrap:wrap;gap:.9rem 1.1rem;justify-content:center;align-items:flex-end}
.handmade .panel{display:flex;flex-direction:column;align-items:center;gap:.2rem;font-size:.85em;text-align:center}
.handmade .panel.sign{align-self:center;font-size:1.5em}
.handmade .panel img{display:block;margin:0;image-rendering:pixelated;border:1px solid var(--figure-muted,#6b7280)}
.handmade svg{display:block;margin:0 auto;width:100%;height:auto}
.handmade .numbers{display:inline-grid;border:1px solid var(--figure-muted,#6b7280);font-variant-numeric:tabular-nums}
.handmade .numbers span{min-width:2em;min-height:2em;line-height:2em;padding:0 .15em;border:1px solid rgba(128,128,128,.3);text-align:center}
.handmade .numbers .marked{outline:2px solid var(--figure-second,#b4530a);outline-offset:-2px;font-weight:700}
.handmade .numbers.compact{font-size:.72em}
.handmade .numbers.compact span{min-width:1.15em;min-height:1.5em;line-height:1.5em;padding:0}
.handmade .scale{width:100%;text-align:center;font-size:.8em;margin-top:.2rem}
.handmade .scale i{display:inline-block;width:7em;height:.8em;margin:0 .5em;vertical-align:-.1em;border:1px solid var(--figure-muted,#6b7280)}
.handmade .below{width:100%;text-align:center;font-variant-numeric:tabular-nums}
</style>"""
PHOTOGRAPH = 100  # pixels; a larger picture is kept as JPEG
SHADES = 64  # from the lowest to the highest of signed values; even, so that zero has one of its own

# JupyterLab would take the arrow keys for its own.
KEYS = 'data-lm-suppress-shortcuts="true"'


class Figure:
    """A picture, the words that stand for it, and a caption that says what to see in it.

    Parameters
    ----------
    body : str
        HTML or SVG.
    alt : str
        What the picture shows, for whoever does not see it. Keep numbers that vary between machines out of it.
    caption : str, optional
        Printed under the picture.

    Raises
    ------
    ValueError
        If ``alt`` is empty.
    """

    def __init__(self, body, alt, caption=None):
        if not alt or not alt.strip():
            raise ValueError("a figure needs alt text: say in a sentence what it shows")
        self.body, self.alt, self.caption = body, " ".join(alt.split()), caption

    @property
    def picture(self):
        """The body as one image with a name, without the caption."""
        return f'<div class="panels" role="img" aria-label="{escape(self.alt)}">{self.body}</div>'

    def _repr_html_(self):
        caption = f"<figcaption>{self.caption}</figcaption>" if self.caption else ""
        return f'{SHEET}<figure class="handmade">{self.picture}{caption}</figure>'

    def __repr__(self):
        return f"Figure: {self.alt}"


def axes(width=5.6, height=3.2, rows=1, columns=1, **options):
    """Make matplotlib axes in the course's style; :func:`drawn` turns what was drawn on them into a :class:`Figure`.

    Parameters
    ----------
    width, height : float
        Inches of the whole drawing. Above 6 inches text gets small on a phone.
    rows, columns : int
        With more than one axes, an array of them is returned, as from ``matplotlib.pyplot.subplots``.
    **options
        For ``matplotlib.figure.Figure.subplots``.
    """
    with rc_context(STYLE):
        return Canvas(figsize=(width, height), layout="constrained").subplots(rows, columns, **options)


def drawn(drawing, alt, caption=None):
    """Turn the drawing that ``drawing`` (axes, or an array of axes) belongs to into a :class:`Figure`."""
    canvas = numpy.ravel(drawing)[0].figure
    for legend in [*canvas.legends, *(part.get_legend() for part in canvas.axes)]:
        if legend:
            legend.set_frame_on(False)  # its white box would stay white on a dark page
    text = io.StringIO()
    with rc_context(STYLE):
        canvas.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # these names repeat from figure to figure, and ids must not
    own = "drawing-" + hashlib.sha1(svg.encode()).hexdigest()[:10]
    svg = re.sub(r'( id="|url\(#|href="#)', rf"\g<1>{own}-", svg)  # nor must those of clip paths and hatches
    svg = re.sub(r' transform="rotate\(-?0 [^"]*"', "", svg)
    shorter = lambda places: re.sub(r"\s+", " ", re.sub(r"(\.\d\d)\d+", r"\1", places[0]))  # hundredths of a pixel will do
    svg = re.sub(r' (?:(?:d|x|y)="[^"]*"|transform="(?:translate|rotate)\([^()]*\)")', shorter, svg)
    svg = re.sub(r"font-family: [^;\"]*", "font-family: inherit", svg)
    for hexadecimal, colour in PAGE_COLOURS.items():
        svg = svg.replace(hexadecimal, colour)
    pixels = round(canvas.get_figwidth() * 100)
    # Matplotlib writes no colour for black, its default for text and legends: on a dark page that has to be light.
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', rf'\1 style="max-width:{pixels}px;fill:currentColor"', svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    return Figure(svg, alt, caption)


def image_grid(images, *, alt, titles=None, caption=None, columns=None, size=84, signed=False, limits=None):
    """Show images side by side; they wrap on a narrow page.

    Parameters
    ----------
    images : sequence of torch.Tensor
        Each of shape (height, width), (1, height, width), or (3, height, width) for colour (values 0 to 1).
    titles : sequence of str, optional
        One under each image.
    columns : int, optional
        At most so many in a row.
    size : int
        Width of each image on the page, in pixels.
    signed : bool
        Negative and positive values matter (weights): zero is mid-grey, and a scale is printed below.
    limits : (float, float), optional
        The values shown darkest and lightest. Without it, the range over all the images.

    Raises
    ------
    ValueError
        If there is no image, a shape is none of the above, or the number of titles is another.
    """
    images = [_pixels(image) for image in images]
    if not images:
        raise ValueError("image_grid needs at least one image, got none")
    titles = [""] * len(images) if titles is None else titles
    if len(titles) != len(images):
        raise ValueError(f"{len(images)} images need as many titles, got {len(titles)}")
    limits = limits or _limits(images, signed)
    body = "".join(
        panel(image, title=title, size=size, signed=signed, limits=limits) for image, title in zip(images, titles)
    )
    if columns:
        body = f'<div class="panels" style="max-width:{columns * (size + 20)}px">{body}</div>'
    return Figure(body + (_scale(limits) if signed else ""), alt, caption)


def panel(image, *, title="", size=84, signed=False, limits=None):
    """One image as HTML, for :func:`row`; the arguments are those of :func:`image_grid`."""
    image = _pixels(image)
    low, high = limits or _limits([image], signed)
    if image.ndim == 2:
        image = numpy.clip((image - low) / ((high - low) or 1), 0, 1)
    # A page has dozens of these: colours of a scale are a palette, and what is large is a photograph or like one.
    signed, kind = signed and image.ndim == 2, "png"
    picture = Image.fromarray(numpy.uint8(image * (SHADES if signed else 255) + 0.5))
    if signed:
        colours = colormaps[SIGNED_COLOURS](numpy.linspace(0, 1, SHADES + 1))
        picture.putpalette(numpy.uint8(255 * colours[:, :3] + 0.5).tobytes())
    elif max(image.shape[:2]) > PHOTOGRAPH:
        kind = "jpeg"
    data = io.BytesIO()
    picture.save(data, kind, optimize=True, **({"quality": 80} if kind == "jpeg" else {}))
    source = f"data:image/{kind};base64," + base64.b64encode(data.getvalue()).decode()
    height = round(size * image.shape[0] / image.shape[1])
    return f'<div class="panel"><img alt="" src="{source}" width="{size}" height="{height}">{escape(str(title))}</div>'


def weight_images(weight, *, alt, caption=None, titles=None, columns=5, size=84):
    """Show each row of a linear layer's weight as the image that it weighs.

    ``weight`` has shape (out_features, in_features) with in_features a square number, such as 784 = 28·28.
    """
    side = round(weight.shape[1] ** 0.5)
    if side * side != weight.shape[1]:
        raise ValueError(f"weight images need a square number of inputs, got {weight.shape[1]}")
    titles = range(len(weight)) if titles is None else titles
    images = weight.reshape(-1, side, side)
    return image_grid(images, alt=alt, caption=caption, titles=titles, columns=columns, size=size, signed=True)


def kernels(weight, *, alt, caption=None, columns=None, size=60):
    """Show the kernels of a convolution: ``weight`` has shape (out_channels, in_channels, height, width)."""
    titles = [f"{i}" if weight.shape[1] == 1 else f"{i}, channel {j}" for i in range(len(weight)) for j in range(weight.shape[1])]
    images = weight.flatten(0, 1)
    return image_grid(images, alt=alt, caption=caption, titles=titles, columns=columns, size=size, signed=True)


def activation_maps(maps, *, alt, caption=None, columns=None, size=84, signed=False):
    """Show the activation maps of one image: ``maps`` has shape (channels, height, width); all share one scale."""
    titles = [f"map {i}" for i in range(len(maps))]
    return image_grid(maps, alt=alt, caption=caption, titles=titles, columns=columns, size=size, signed=signed)


def number_grid(values, *, title="", marked=(), digits=0, compact=False):
    """One small matrix as HTML, for :func:`row`; cells (row, column) in ``marked`` get a thick border.

    ``values`` has shape (height, width); None or NaN leaves a cell empty, text is set as it is. ``digits`` are printed
    after the decimal point; ``compact`` makes the cells small, for many columns.
    """
    rows = values.tolist() if isinstance(values, torch.Tensor) else [list(line) for line in values]
    cells = ""
    for i, line in enumerate(rows):
        for j, value in enumerate(line):
            blank = value is None or value != value
            text = "" if blank else value if isinstance(value, str) else f"{value:.{digits}f}".replace("-", "−")
            cells += f'<span{" class=marked" if (i, j) in marked else ""}>{escape(text)}</span>'
    grid = f'<div class="numbers{" compact" if compact else ""}" style="grid-template-columns:repeat({len(rows[0])},auto)">{cells}</div>'
    return f'<div class="panel">{grid}{escape(title)}</div>'


def row(*parts, alt, caption=None, below=""):
    """A row of :func:`number_grid` and :func:`panel` parts.

    A part of one or two characters, such as "∗" or "=", is set as a sign between them; ``below`` is a line of text.
    """
    body = "".join(part if len(part) > 2 else f'<div class="panel sign">{escape(part)}</div>' for part in parts)
    return Figure(body + (f'<div class="below">{escape(below)}</div>' if below else ""), alt, caption)


def table(header, rows, *, caption):
    """A small table of computed values, for those that vary from machine to machine and so are not printed.

    ``header`` and each of ``rows`` are sequences of text or numbers, the first of them a name.
    """

    def line(tag, cells):  # the first column holds names, the others numbers
        sides = ["left"] + ["right"] * (len(cells) - 1)
        return "".join(
            f'<{tag} style="text-align:{side};padding:.3em .8em">{escape(str(text))}</{tag}>' for side, text in zip(sides, cells)
        )

    head, body = line("th", header), "".join(f"<tr>{line('td', cells)}</tr>" for cells in rows)
    # A table wider than a phone scrolls; its caption need not.
    below = f'<span style="display:block;max-width:calc(100vw - 4rem)">{escape(caption)}</span>'
    html = f'<table class="table"><caption>{below}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return _Table(html, caption)


def loss_curves(histories, *, alt, caption=None, smooth=50):
    """Draw the training loss of one or several runs, averaged over ``smooth`` steps.

    ``histories`` maps a name to a :class:`helpers.training.History` (or to a list of losses, one a step).
    """
    drawing = axes()
    for name, history in histories.items():
        losses = torch.as_tensor(getattr(history, "losses", history), dtype=torch.float64)
        if not len(losses):
            raise ValueError(f"the run {name!r} holds no loss yet: train at least one step")
        window = min(smooth, len(losses))
        drawing.plot(range(window, len(losses) + 1), losses.unfold(0, window, 1).mean(1), label=name)
    drawing.set(xlabel="training step", ylabel=f"loss (mean of {smooth} steps)", ylim=(0, None))
    if len(histories) > 1:
        drawing.legend()
    return drawn(drawing, alt, caption)


def frames(pictures, labels, *, alt, caption=None):
    """Pictures to step through: a row of buttons, the arrow keys move along it. In print, all of them.

    It is a group of radio buttons and style sheets alone, so it works in a static page without JavaScript.

    Parameters
    ----------
    pictures : sequence of Figure
    labels : sequence of str
        The text of each button; short, such as a step number.
    alt : str
        What the whole sequence shows.
    """
    if len(pictures) != len(labels) or not pictures:
        raise ValueError(f"frames needs as many labels as pictures, at least one; got {len(pictures)} and {len(labels)}")
    content = "".join(f'<div class="frame">{picture.picture}</div>' for picture in pictures)
    name = "frames-" + hashlib.sha1((alt + content).encode()).hexdigest()[:10]
    buttons = "".join(
        f'<input type="radio" name="{name}" id="{name}-{i}"{" checked" if i == 0 else ""} {KEYS}>'
        f'<label for="{name}-{i}">{escape(str(label))}</label>'
        for i, label in enumerate(labels)
    )
    chosen = ",".join(
        f"#{name}>input:nth-of-type({i}):checked~.stack>.frame:nth-child({i})" for i in range(1, len(pictures) + 1)
    )
    sheet = f"""<style>
#{name}{{border:0;padding:0;margin:0;text-align:center;min-width:0}}
#{name}>input{{position:absolute;opacity:0;width:1px;height:1px}}
#{name}>label{{display:inline-block;min-width:44px;line-height:42px;padding:0 .5em;margin:2px;cursor:pointer;
border:1px solid var(--figure-muted,#6b7280);border-radius:6px;font-variant-numeric:tabular-nums}}
#{name}>input:checked+label{{border-color:var(--figure-accent,#1d6fa5);box-shadow:inset 0 -4px var(--figure-accent,#1d6fa5);font-weight:700}}
#{name}>input:focus-visible+label{{outline:3px solid var(--figure-second,#b4530a);outline-offset:1px}}
#{name}>.stack{{display:grid;margin-top:.6rem}}
#{name}>.stack>.frame{{grid-area:1/1;visibility:hidden;min-width:0}}
{chosen}{{visibility:visible}}
@media print{{#{name}>label{{display:none}}#{name}>.stack{{display:block}}#{name}>.stack>.frame{{visibility:visible;margin-bottom:1rem}}}}
</style>"""
    figure = Figure(f'{buttons}<div class="stack">{content}</div>', alt, caption)
    return _Frames(figure.body, figure.alt, caption, name, sheet)


class _Frames(Figure):
    def __init__(self, body, alt, caption, name, sheet):
        super().__init__(body, alt, caption)
        self.name, self.sheet = name, sheet

    @property
    def picture(self):
        # Not one image: the buttons and the frame that shows have to be reachable by themselves.
        return f'{self.sheet}<fieldset id="{self.name}" aria-label="{escape(self.alt)}">{self.body}</fieldset>'


class _Table(Figure):
    def _repr_html_(self):
        return self.body

    def __repr__(self):
        return f"Table: {self.alt}"


def _pixels(image):
    image = torch.as_tensor(image).detach().cpu().to(torch.float32)
    if image.ndim == 3 and image.shape[0] == 3:
        return image.permute(1, 2, 0).clamp(0, 1).numpy()
    if image.ndim == 3 and image.shape[0] == 1:
        image = image[0]
    if image.ndim != 2:
        raise ValueError(
            f"an image has shape (height, width), (1, height, width) or (3, height, width), got {tuple(image.shape)}"
        )
    return image.numpy()


def _limits(images, signed):
    low, high = float(min(image.min() for image in images)), float(max(image.max() for image in images))
    return (-max(-low, high), max(-low, high)) if signed else (low, high)


def _scale(limits):
    colours = colormaps[SIGNED_COLOURS]([0.0, 0.25, 0.5, 0.75, 1.0])  # whole numbers would count colours, not lie between 0 and 1
    stops = ",".join("rgb({:.0f},{:.0f},{:.0f})".format(*(255 * colour[:3])) for colour in colours)
    low, high = (f"{value:+.2f}".replace("-", "−") for value in limits)
    return f'<div class="scale">{low}<i style="background:linear-gradient(90deg,{stops})"></i>{high}</div>'
