"""Sphinx extension: everything that a page needs comes with the page.

Typeset mathematics takes its style and fonts from the npm package katex (``npm ci`` brings it, tools/build_book.py runs
that), and what themes get wrong for screen readers is mended.
"""

import shutil
from pathlib import Path

from docutils import nodes
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


def setup(app):
    inline, block = with_warning(katex.html_visit_math), with_warning(katex.html_visit_displaymath)
    app.add_html_math_renderer("katex_checked", (inline, None), (block, None))
    app.connect("config-inited", take_mathematics_from_here)
    app.connect("builder-inited", copy_mathematics)
    app.connect("html-page-context", mend_accessibility)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
