"""Sphinx extension: the figures that the reader moves, in the pages that show them.

``helpers/explorables`` holds each figure as one JavaScript file, written for notebooks, which get it as one text with the
files that it shares with others. Here each file becomes a classic script, since a page that is opened from disk may load
nothing else, and each page gets the scripts of its own figures only, and what they share once.
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
NAMED = re.compile(r"^const (\w+) =", re.MULTILINE)
PARTS = "((self.explorableParts ??= {{}}).{} ??= {{}}).{} = "


def code_script(name, shared=()):
    """A JavaScript file as a classic script: a figure leaves itself in ``explorableParts.figures``, any other its functions
    in ``explorableParts.shared``, where it finds those of the files ``shared``."""
    text = (FOLDER / f"{name}.js").read_text(encoding="utf-8")
    names = [each for file in shared for each in NAMED.findall((FOLDER / f"{file}.js").read_text(encoding="utf-8"))]
    text, figures = re.subn("^export default ", PARTS.format("figures", name), text, flags=re.MULTILINE)
    if figures > 1 or (not figures and not NAMED.search(text)):
        raise ValueError(f"{name}.js must have one line that begins with 'export default', or define functions for others")
    if not figures:
        text += f"Object.assign((self.explorableParts ??= {{}}).shared ??= {{}}, {{ {', '.join(NAMED.findall(text))} }});\n"
    given = f"const {{ {', '.join(names)} }} = explorableParts.shared;\n" if names else ""
    return f"(() => {{\n{given}{text}}})();\n"


def data_script(name):
    """A block of bytes as a classic script that leaves it, in base64, in ``explorableParts.data``, for who waits for it."""
    return f'{PARTS.format("data", name)}"{base64.b64encode(data.read(name)).decode()}";\nexplorableParts.mount?.();\n'


def write_files(folder):
    """Write all scripts and the style sheet into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in explorables.__all__:
        figure = getattr(explorables, name)
        for position, file in enumerate(figure.files):
            (folder / f"{file}.js").write_text(code_script(file, figure.files[:position]), encoding="utf-8")
        for block in figure.needs:
            (folder / f"data_{block}.js").write_text(data_script(block), encoding="utf-8")
    for file in ("page.js", "explorable.css"):
        shutil.copyfile(FOLDER / file, folder / file)


def scripts_of(html):
    """Names of the scripts that a page needs in the order in which they have to run, and of those that may come later."""
    shown = set(FOUND.findall(html))
    if not shown:
        return [], []
    figures = sorted((getattr(explorables, name) for name in explorables.__all__), key=lambda figure: figure.name)
    files = dict.fromkeys(file for figure in figures if figure.name in shown for file in figure.files)
    blocks = {"needs": set(), "later": set()}
    for when, names in NEEDED.findall(html):
        blocks[when].update(names.split())
    blocks["later"] -= blocks["needs"]
    # What needs no data, or little, is there before the weights have come over a slow line: the small ones stand first.
    now, later = ([f"data_{block}.js" for block in data.FILES if block in blocks[when]] for when in ("needs", "later"))
    return [*(f"{file}.js" for file in files), "page.js", *now], later


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
