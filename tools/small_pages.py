"""Sphinx extension: pages that a slow line brings soon.

Of style sheets and fonts stays what a page of the book uses, the work of the npm package purgecss and of fontTools. The
theme's icon script, a copy of what its style sheet draws anyway, is emptied, and its other script no longer measures every
box of the page. A style sheet that every picture brings along stands once in a page, what searches is loaded by the page
that searches, code that looks like text is no element of its own. The theme's scripts come after the text, and so do
pictures, which a notebook holds in its text: here they lie beside the page.
"""

import base64
import hashlib
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from fontTools import subset
from sphinx.errors import ExtensionError

SMALL = 300  # letters; what is shorter is not worth a request of its own, and stays in the text


def keep_one_of_each_style(app, pagename, templatename, context, doctree):
    seen = set()

    def first(style):
        repeated = style[0] in seen
        seen.add(style[0])
        return "" if repeated else style[0]

    context["body"] = re.sub(r"<style>.*?</style>", first, context.get("body", ""), flags=re.DOTALL)


def put_pictures_beside_the_page(app, pagename, templatename, context, doctree):
    folder = Path(app.outdir) / "_images"

    def moved(picture):
        before, kind, content = picture.groups()
        name = f"{hashlib.sha256(content.encode()).hexdigest()[:16]}.{kind}"
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(base64.b64decode(content))
        return f'{before} decoding="async" loading="lazy" src="{context["pathto"](f"_images/{name}", 1)}"'

    pattern = rf'(<img[^>]*?) src="data:image/(\w+);base64,([^"]{{{SMALL},}})"'
    body = re.sub(pattern, moved, context.get("body", ""))
    # What the reader sees first, and what figures compute with, comes first; book.js asks for the rest when the page has
    # loaded, since the line may be gone when the reader comes to a picture.
    context["body"] = re.sub(r'(<img[^>]*?) src="data:', r'\1 loading="lazy" src="data:', body)


# What searches, where nothing is searched; and the theme's scripts, which would otherwise come before the text.
NOT_NEEDED = re.compile(
    r'<script src="[^"]*(?:searchtools|language_data|searchindex)\.js[^"]*"></script>\s*|<link rel="preload" as="script"[^>]*>\s*'
)


SCRIPT = re.compile(r"\s*<script([^>]*)>(.*?)</script>", re.DOTALL)
SOURCE = re.compile(r'\bsrc="([^"?]*)[^"]*"')
THEME = re.compile(r'<script defer (src="[^"]*/scripts/(?:bootstrap|pydata-sphinx-theme)\.js[^"]*")>')


def scripts_that_hold_up_nothing(html, page):
    """Put the scripts of a page in the order in which a reader needs them.

    A script in the head stops the text behind it until it has come, and with it all style sheets before it. So what
    stands in the page itself comes before these, with book.js, which decides how the page is laid out, and all others run
    when the text is there: first the figures, then what adds to the text, and when all this has come, the theme's.
    """
    head, body = html.split("</head>", 1)
    at_once, figures, others = "", "", ""
    for attributes, code in SCRIPT.findall(head):
        source = SOURCE.search(attributes)
        if not source and "DOCUMENTATION_OPTIONS" not in code:
            at_once += f"<script{attributes}>{code}</script>\n"
        elif not source:
            others += f'<script type="module">{code}</script>\n'  # of scripts that stand in the page, modules alone wait
        elif source[1].endswith("/book.js"):
            at_once += f"<script>\n{(page.parent / source[1]).read_text(encoding='utf-8')}</script>\n"
        elif not source[1].endswith("/fontawesome.js"):  # which is empty
            script = f"<script{re.sub(' defer(=.defer.)?', '', attributes)} defer></script>\n"
            if "/explorables/" in source[1]:
                figures += script
            else:
                others += script
    before, sheets = SCRIPT.sub("", head).split("<link", 1)
    body, count = THEME.subn(r'<script type="theme" \1>', body)
    if count != 2:
        raise ExtensionError(f"{page.name} has changed: THEME in tools/small_pages.py is there {count} times, expected 2")
    return f"{before}{at_once}<link{sheets}{figures}{others}</head>{body}"


def take_out_what_is_not_needed(pages, sheet):
    plain = "|".join(sorted(plain_tokens(sheet.read_text(encoding="utf-8"))))
    spans = re.compile(rf'<span class="(?:{plain})">([^<]*)</span>')
    for page in pages:
        html = page.read_text(encoding="utf-8")
        smaller = CODE.sub(lambda code: spans.sub(r"\1", code[0]), html)
        if page.name != "search.html":
            smaller = NOT_NEEDED.sub("", smaller)
            if "/book.js" in smaller:  # not in a redirect, and not in a page that a build before has left
                smaller = scripts_that_hold_up_nothing(smaller, page)
        if smaller != html:
            page.write_text(smaller, encoding="utf-8")


CODE = re.compile(r'<div class="highlight"><pre>.*?</pre>', re.DOTALL)
RULE = re.compile(r'^html\[data-theme="(\w+)"\] \.highlight (?:\.(\w+) )?\{ (?:background: [^;]+; )?(.*?) \}', re.MULTILINE)


def plain_tokens(sheet):
    """The classes of tokens that pygments puts into elements of their own, and that look like text without any.

    Names, brackets and commas are most of a program: without them a page has up to two fifths fewer elements to lay out.
    """
    looks = {theme: {} for theme in ("light", "dark")}
    for theme, token, look in RULE.findall(sheet):
        looks[theme][token] = look
    if not all("" in of_theme for of_theme in looks.values()):
        raise ExtensionError("pygments.css has changed: tools/small_pages.py does not find how text without a class looks in it")
    return {token for token in looks["light"] if token and all(of.get(token) == of[""] for of in looks.values())}


# Where the theme's script makes what is wide reachable by keyboard; book.js does it, in a way that lays out nothing twice.
TAB_STOPS = re.compile(r'"complete"===document\.readyState\?(\w+)\(\):window\.addEventListener\("load",\1\)')


def take_out_tab_stops(script):
    smaller, count = TAB_STOPS.subn("0", script.read_text(encoding="utf-8"))
    if count != 1:
        raise ExtensionError(f"{script.name} has changed: TAB_STOPS in tools/small_pages.py is there {count} times, expected once")
    script.write_text(smaller, encoding="utf-8")


def keep_rules_in_use(source, built):
    sheets = sorted((built / "_static").rglob("*.css"))
    program = Path(source) / "node_modules" / "purgecss" / "bin" / "purgecss.js"
    with tempfile.TemporaryDirectory() as folder:
        # Scripts give elements their classes, too.
        command = ["--css", *sheets, "--content", built / "**/*.html", built / "_static/**/*.js", "--output", folder]
        purged = subprocess.run([shutil.which("node"), program, *command], capture_output=True, text=True)
        if purged.returncode:
            raise ExtensionError(f"purgecss failed (is it missing? 'make book' installs it):\n{purged.stderr}")
        for sheet in sheets:
            shutil.copyfile(Path(folder) / sheet.name, sheet)
    return sheets


def keep_glyphs_in_use(pages, sheets, fonts):
    shown = {ord(character) for page in pages for character in page.read_text(encoding="utf-8")}
    for sheet in sheets:
        rules = sheet.read_text(encoding="utf-8")  # which name a character by its number, or hold it
        shown |= {int(code, 16) for code in re.findall(r'"\\([0-9a-fA-F]{2,5})"', rules)} | set(map(ord, rules))
    for font in fonts:
        smaller = subset.load_font(font, subset.Options(flavor="woff2"))
        chosen = subset.Subsetter(subset.Options(flavor="woff2", layout_features=[]))
        chosen.populate(unicodes=shown)
        chosen.subset(smaller)
        subset.save_font(smaller, font, subset.Options(flavor="woff2"))


def make_smaller(app, exception):
    if exception is not None:
        return
    built, static = Path(app.outdir), Path(app.outdir) / "_static"
    pages = sorted(built.rglob("*.html"))
    take_out_what_is_not_needed(pages, static / "pygments.css")
    (static / "scripts" / "fontawesome.js").write_text("/* The icons come from the style sheet. */\n")
    take_out_tab_stops(static / "scripts" / "pydata-sphinx-theme.js")
    for font in (static / "vendor" / "fontawesome" / "webfonts").iterdir():
        if font.suffix != ".woff2":
            font.unlink()  # for browsers from before 2016
    keep_glyphs_in_use(pages, keep_rules_in_use(app.srcdir, built), sorted(static.rglob("*.woff2")))


def setup(app):
    app.connect("html-page-context", keep_one_of_each_style)
    app.connect("html-page-context", put_pictures_beside_the_page)
    app.connect("build-finished", make_smaller, priority=900)  # after the theme, which writes pygments.css then
    return {"parallel_read_safe": True, "parallel_write_safe": True}
