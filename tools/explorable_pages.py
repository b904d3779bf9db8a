"""Sphinx extension: the figures that the reader moves, in the pages that show them.

``helpers/explorables`` holds each figure as one JavaScript file, written for notebooks. Here it becomes a classic script,
since a page that is opened from disk may load nothing else, and each page gets the scripts of its own figures only.
"""

import base64
import hashlib
import re
import shutil
from pathlib import Path

from helpers import explorables
from helpers.explorables import data
from helpers.explorables.explorable import FOLDER

FOUND = re.compile(r'data-explorable="(\w+)"')
NEEDED = re.compile(r'data-(needs|later)="([\w ]+)"')
LARGE = 50_000  # bytes of a script, at most 30,000 on their way: weights and recordings are larger, code and digits smaller
PARTS = "((self.explorableParts ??= {{}}).{} ??= {{}}).{} = "


def figure_script(figure):
    """The JavaScript of a class as a classic script that leaves the figure in ``explorableParts.figures``."""
    registered, count = re.subn("^export default ", PARTS.format("figures", figure.name), figure._esm, flags=re.MULTILINE)
    if count != 1:
        raise ValueError(f"{figure.name}.js must have one line that begins with 'export default', it has {count}")
    return f"(() => {{\n{registered}}})();\n"


def data_script(name):
    """A block of bytes as a classic script that leaves it, in base64, in ``explorableParts.data``, for who waits for it."""
    return f'{PARTS.format("data", name)}"{base64.b64encode(data.read(name)).decode()}";\nexplorableParts.mount?.();\n'


def write_files(folder):
    """Write all scripts and the style sheet into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in explorables.__all__:
        figure = getattr(explorables, name)
        (folder / f"{figure.name}.js").write_text(figure_script(figure), encoding="utf-8")
        for block in figure.needs:
            (folder / f"data_{block}.js").write_text(data_script(block), encoding="utf-8")
    for file in ("page.js", "explorable.css"):
        shutil.copyfile(FOLDER / file, folder / file)


def scripts_of(html):
    """Names of the scripts that a page needs in the order in which they have to run, and of those that may come later."""
    figures = sorted(set(FOUND.findall(html)))
    if not figures:
        return [], []
    blocks = {"needs": set(), "later": set()}
    for when, names in NEEDED.findall(html):
        blocks[when].update(names.split())
    blocks["later"] -= blocks["needs"]
    # What needs no data, or little, is there before the weights have come over a slow line: the small ones stand first.
    now, later = ([f"data_{block}.js" for block in data.FILES if block in blocks[when]] for when in ("needs", "later"))
    return [*(f"{name}.js" for name in figures), "page.js", *now], later


def write_into_book(app):
    write_files(Path(app.outdir) / "_static" / "explorables")


def add_to_page(app, pagename, templatename, context, doctree):
    html = context.get("body", "")
    scripts, later = scripts_of(html)
    for script in [*scripts, *later]:
        path = f"explorables/{script}"
        content = (Path(app.outdir) / "_static" / path).read_bytes()
        address = f'{context["pathto"](f"_static/{path}", 1)}?v={hashlib.sha256(content).hexdigest()[:8]}'
        if script in later:
            html += f'<script type=later src="{address}"></script>\n'  # no type that a browser knows: page.js asks for it
        elif len(content) > LARGE:
            # After the first figure that needs it: the text up to there comes first, and the line is not idle after the text.
            block = script.removeprefix("data_").removesuffix(".js")
            end = html.index("</figure>", re.search(rf'data-needs="[^"]*\b{block}\b', html).end()) + len("</figure>")
            html = f'{html[:end]}<script defer src="{address}"></script>{html[end:]}'
        else:
            app.add_js_file(path, loading_method="defer")
    context["body"] = html
    if scripts:
        app.add_css_file("explorables/explorable.css")


def setup(app):
    app.connect("builder-inited", write_into_book)
    app.connect("html-page-context", add_to_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
