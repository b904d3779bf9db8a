"""Sphinx extension: everything that a page needs comes with the page.

Typeset mathematics takes its style and fonts from the npm package katex (``npm ci`` brings it, tools/build_book.py runs
that). For readers on a slow line, pages are made smaller: the theme's icon script, a copy of what its style sheet draws
anyway, is emptied; of the two thousand icons stay those that a page shows; a style sheet that every figure brings along
stands once in a page; and what searches is loaded by the page that searches.
"""

import re
import shutil
from pathlib import Path

from docutils import nodes
from fontTools import subset
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinxcontrib import katex

logger = logging.getLogger(__name__)


def take_mathematics_from_here(app, config):
    config.katex_css_path = "katex/katex.min.css"
    katex.KATEX_DEFAULT_OPTIONS["throwOnError"] = True
    # On a busy computer Node takes longer to start than the five seconds that are allowed otherwise; and its socket file
    # is there before it listens, so the connection would now and then be refused. The way that Windows takes tries again.
    katex.STARTUP_TIMEOUT = katex.RENDER_TIMEOUT = 60
    katex.KaTeXServer.start_server_process = katex.KaTeXServer.start_network_socket


def with_warning(typeset):
    """Typeset a formula; a mistake in it is a warning that names the page, not red text that nobody is told of."""

    def visit(self, node):
        try:
            typeset(self, node)
        except katex.KaTeXError as error:
            logger.warning("%s", error, location=node)
            raise nodes.SkipNode from error

    return visit


def copy_mathematics(app):
    source = Path(app.srcdir) / "node_modules" / "katex" / "dist"
    if not (source / "katex.min.css").exists():
        raise ExtensionError(f"{source} is missing: run 'make book', or 'npm ci' in {app.srcdir}")
    target = Path(app.outdir) / "_static" / "katex"
    (target / "fonts").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / "katex.min.css", target / "katex.min.css")
    for font in (source / "fonts").glob("*.woff2"):
        shutil.copyfile(font, target / "fonts" / font.name)


def mend_accessibility(app, pagename, templatename, context, doctree):
    if "body" in context:
        # docutils gives bibliography entries a role that has been withdrawn, and then the list around them has no items.
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')
        # myst-nb names the buttons of hidden cells otherwise than they read, so nobody can call them by what they see.
        context["body"] = context["body"].replace('<summary aria-label="Toggle hidden content">', "<summary>")


def keep_one_of_each_style(app, pagename, templatename, context, doctree):
    seen = set()

    def first(style):
        repeated = style[0] in seen
        seen.add(style[0])
        return "" if repeated else style[0]

    context["body"] = re.sub(r"<style>.*?</style>", first, context.get("body", ""), flags=re.DOTALL)


def search_on_the_search_page_only(app, exception):
    if exception is not None:
        return
    for page in Path(app.outdir).rglob("*.html"):
        if page.name != "search.html":
            html = page.read_text(encoding="utf-8")
            smaller = re.sub(r'<script src="[^"]*(?:searchtools|language_data|searchindex)\.js[^"]*"></script>\s*', "", html)
            if smaller != html:
                page.write_text(smaller, encoding="utf-8")


def keep_icons_in_use(app, exception):
    if exception is not None:
        return
    built, static = Path(app.outdir), Path(app.outdir) / "_static"
    (static / "scripts" / "fontawesome.js").write_text("/* The icons come from the style sheet. */\n")
    sheet = static / "styles" / "pydata-sphinx-theme.css"
    files = [*built.rglob("*.html"), *(static / "scripts").glob("*.js")]
    used = {name for file in files for name in re.findall(r"\bfa-[\w-]+", file.read_text(encoding="utf-8"))}

    def if_used(rule):
        return rule[0] if used.intersection(re.findall(r"fa-[\w-]+", rule[1])) else ""

    rules = re.sub(r'((?:\.fa-[\w-]+:+before,?\s*)+)\{\s*content:\s*"[^"]*";?\s*\}', if_used, sheet.read_text(encoding="utf-8"))
    sheet.write_text(rules, encoding="utf-8")
    # What is left are the icons of pages, and those that other rules draw.
    drawn = {int(code, 16) for code in re.findall(r'"\\([0-9a-fA-F]{2,5})"', rules)}
    for font in (static / "vendor" / "fontawesome" / "webfonts").iterdir():
        if font.suffix != ".woff2":
            font.unlink()  # for browsers from before 2016
            continue
        smaller = subset.load_font(font, subset.Options(flavor="woff2"))
        chosen = subset.Subsetter(subset.Options(flavor="woff2", layout_features=[]))
        chosen.populate(unicodes=drawn)
        chosen.subset(smaller)
        subset.save_font(smaller, font, subset.Options(flavor="woff2"))


def setup(app):
    inline, block = with_warning(katex.html_visit_math), with_warning(katex.html_visit_displaymath)
    app.add_html_math_renderer("katex_checked", (inline, None), (block, None))
    app.connect("config-inited", take_mathematics_from_here)
    app.connect("builder-inited", copy_mathematics)
    app.connect("html-page-context", mend_accessibility)
    app.connect("html-page-context", keep_one_of_each_style)
    app.connect("build-finished", search_on_the_search_page_only)
    app.connect("build-finished", keep_icons_in_use)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
