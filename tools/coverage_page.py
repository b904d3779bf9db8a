"""Where the course carries each row of the lecture: read from cell tags and test markers, never typed.

A cell of a chapter that carries a row of ``lecture.yml`` has the row's id as a tag (``C4``); a note on a slip of the
slides has ``slip-3``. A test that proves a row is marked ``@pytest.mark.row("C4")``. As a Sphinx extension this module
is the directive ``lecture-coverage``, which sets all of it as a page.
"""

import ast
import json
import re
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from docutils import nodes
from docutils.parsers.rst import Directive

LOOKS_LIKE_A_ROW = re.compile(r"[a-z]\d+|slip\W*\d+", re.IGNORECASE)
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
FENCE = re.compile(r"^(`{3,}|~{3,}).*?^\1", re.MULTILINE | re.DOTALL)


@dataclass
class Home:
    """What carries one row: places are (chapter, heading), with a text for figures and questions."""

    explanations: list = field(default_factory=list)
    computations: list = field(default_factory=list)
    figures: list = field(default_factory=list)
    questions: list = field(default_factory=list)
    tests: list = field(default_factory=list)
    slips: list = field(default_factory=list)

    def missing(self):
        """Name what a row needs and this one lacks."""
        return [what for what in ("explanations", "computations", "figures") if not getattr(self, what)]


def read_lecture(root):
    """Return parts of rows, ``[(title, {id: title})]``, and slips, ``{"slip-1": title}``."""
    lecture = yaml.safe_load((root / "lecture.yml").read_text(encoding="utf-8"))
    parts = [(part["title"], part["rows"]) for part in lecture["parts"]]
    return parts, {f"slip-{number}": title for number, title in lecture["slips"].items()}


def find_homes(root):
    """Map the id of every row and slip to its :class:`Home`.

    Raises
    ------
    ValueError
        If a tag or a marker looks like a row and is none, with the place where it stands.
    """
    parts, slips = read_lecture(root)
    homes = {row: Home() for row in [*(row for _, rows in parts for row in rows), *slips]}
    for path in sorted((root / "chapters").glob("*.ipynb")):
        read_chapter(path, homes)
    for path in sorted((root / "tests").glob("test_*.py")):
        for test, row, line in marked_tests(path):
            if row not in homes:
                raise ValueError(f"{path.name}, line {line}: lecture.yml has no row {row!r}")
            homes[row].tests.append((path.name, test))
    return homes


def read_chapter(path, homes):
    """Enter what the tagged cells of a notebook carry."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    last = ""
    for number, cell in enumerate(notebook["cells"], 1):
        source, tags = "".join(cell["source"]), cell["metadata"].get("tags", [])
        headings = []
        if cell["cell_type"] == "markdown":
            headings = [plain(title) for title in HEADING.findall(FENCE.sub("", source))]
        places = [(path.stem, title) for title in headings or [last]]
        last = headings[-1] if headings else last
        for tag in tags:
            if tag in homes:
                enter(homes[tag], cell, source, places)
                homes[tag].slips += [other for other in tags if other.startswith("slip-") and other != tag]
            elif LOOKS_LIKE_A_ROW.fullmatch(tag):
                raise ValueError(f"{path.name}, cell {number}: lecture.yml has no row {tag!r}")


def enter(home, cell, source, places):
    """Enter one cell into the home of a row."""
    if cell["cell_type"] == "markdown":
        home.explanations += places
        return
    texts = ["".join(output.get("data", {}).get("text/plain", output.get("text", ""))) for output in cell["outputs"]]
    # Figures say what they are in their text: "Figure: …", and "Explorable: …" if the reader can move them.
    figures = [text.partition(": ")[2] for text in texts if text.startswith(("Figure: ", "Explorable: "))]
    home.figures += [(*places[0], text) for text in figures]
    if re.fullmatch(r"questions\.\w+", source.strip()):
        stem = texts[0].splitlines()[0].removeprefix("Question: ") if texts else source
        home.questions.append((*places[0], plain(stem)))
    elif len(figures) < len(texts) or not figures:
        home.computations += places[:1]


def plain(title):
    """Strip the marks from a heading: code, roles, emphasis."""
    title = re.sub(r"\{[\w:]+\}`([^`<]+?)(?: *<[^>]*>)?`", r"\1", title)
    return re.sub(r"[`*]", "", title)


def marked_tests(path):
    """Yield (name of the test, row, line) for every ``pytest.mark.row`` of a test file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))

    def rows(marks):
        for mark in marks:
            if isinstance(mark, (ast.List, ast.Tuple)):
                yield from rows(mark.elts)
            elif isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.row":
                yield from ((ast.literal_eval(argument), mark.lineno) for argument in mark.args)

    marks_of_file = [
        mark
        for statement in tree.body
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "pytestmark"
        for mark in rows([statement.value])
    ]
    for statement in tree.body:
        group = statement.body if isinstance(statement, ast.ClassDef) else [statement]
        marks_of_group = [*rows(statement.decorator_list)] if isinstance(statement, ast.ClassDef) else []
        for test in group:
            if isinstance(test, ast.FunctionDef) and test.name.startswith("test_"):
                for row, line in dict.fromkeys([*rows(test.decorator_list), *marks_of_group, *marks_of_file]):
                    yield test.name, row, line


class LectureCoverage(Directive):
    """All rows: an overview in numbers, then what carries each."""

    def run(self):
        env = self.state.document.settings.env
        env.note_reread()  # the chapters and tests that it reads are not files of this page
        root = Path(env.srcdir)
        parts, slips = read_lecture(root)
        homes = find_homes(root)
        self.env, self.slips = env, slips
        kinds = ["explanations", "computations", "figures", "questions", "tests"]
        lines = [
            [self.to_row(row, title), *(str(len(getattr(homes[row], kind))) for kind in kinds)]
            for _, rows in parts
            for row, title in rows.items()
        ]
        overview = self.section(
            "All rows in numbers", table(["row", "explained", "computed", "shown", "asked", "proved"], lines)
        )
        sections = [overview]
        for title, rows in parts:
            sections.append(self.section(title, self.definitions(rows, homes)))
        note = nodes.paragraph("", "What the slides get wrong or leave open, and where a note says so.")
        return [*sections, self.section("Where the slides slip", note, self.definitions(slips, homes))]

    def section(self, title, *content):
        section = nodes.section("", nodes.title("", title), *content, names=[nodes.fully_normalize_name(title)])
        self.state.document.note_implicit_target(section, section)
        return section

    def to_row(self, row, title):
        return nodes.reference("", f"{row.replace('slip-', '')}: {title}", refid=f"row-{row.lower()}", internal=True)

    def definitions(self, rows, homes):
        return nodes.definition_list("", *(self.definition(row, title, homes[row]) for row, title in rows.items()))

    def definition(self, row, title, home):
        term = nodes.term("", f"{row.replace('slip-', '')}: {title}", ids=[f"row-{row.lower()}"])
        items = []

        def item(name, *content):
            items.append(
                nodes.list_item("", nodes.paragraph("", "", nodes.strong("", name), nodes.Text(" "), *content))
            )

        def links(name, entries):
            if entries:
                separate = [[nodes.Text("; ") if i else nodes.Text(""), link] for i, link in enumerate(entries)]
                item(name, *(part for pair in separate for part in pair))

        links("Explained:", [self.link(*place) for place in dict.fromkeys(home.explanations)])
        if home.computations:
            cells = "one cell" if len(home.computations) == 1 else f"{len(home.computations)} cells"
            item("Computed:", nodes.Text(f"in {cells}"))
        links("Shown:", [self.link(*place, text) for *place, text in home.figures])
        links("Asked:", [self.link(*place, text) for *place, text in home.questions])
        links(
            "Proved:",
            [nodes.Text(test.removeprefix("test_").replace("_", " ") + f" ({file})") for file, test in home.tests],
        )
        links("The slide slips:", [self.to_row(slip, self.slips[slip]) for slip in dict.fromkeys(home.slips)])
        return nodes.definition_list_item("", term, nodes.definition("", nodes.bullet_list("", *items)))

    def link(self, chapter, heading, text=None):
        label = textwrap.shorten(text, 90, placeholder=" …") if text else f"{int(chapter[:2])}. {heading}"
        document = f"chapters/{chapter}"
        if document not in self.env.found_docs:
            return nodes.Text(label)
        address = self.env.app.builder.get_relative_uri(self.env.docname, document)
        return nodes.reference("", label, refuri=f"{address}#{nodes.make_id(heading)}", internal=True)


def table(header, lines):
    """A docutils table; cells are texts or nodes."""

    def line(cells):
        entries = (
            nodes.entry("", nodes.paragraph("", "", cell if isinstance(cell, nodes.Node) else nodes.Text(cell)))
            for cell in cells
        )
        return nodes.row("", *entries)

    widths = [7] + [1] * (len(header) - 1)  # the first column holds titles, the others numbers
    group = nodes.tgroup("", *(nodes.colspec(colwidth=width) for width in widths), cols=len(header))
    group += [nodes.thead("", line(header)), nodes.tbody("", *map(line, lines))]
    return nodes.table("", group)


def setup(app):
    app.add_directive("lecture-coverage", LectureCoverage)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
