"""Chapter 2 shows our layer in pieces, with an explanation beside each: they are today's code, and none is left out."""

import ast
import re
from pathlib import Path
from textwrap import indent

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = ["conv.py", "strips.py", "windows.py"]


def code_of(name):
    """The lines of a file that do something: without imports, docstrings and empty lines."""
    text = (ROOT / "helpers" / name).read_text(encoding="utf-8")
    left_out = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            node = node.body[0]
        elif not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        left_out |= set(range(node.lineno, node.end_lineno + 1))
    return [line for number, line in enumerate(text.splitlines(), start=1) if line.strip() and number not in left_out]


@pytest.fixture(scope="module")
def pieces():
    notebook = nbformat.read(ROOT / "chapters" / "02_convolution.ipynb", as_version=4)
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return re.findall(r"^```python\n(.*?)^```$", prose, flags=re.DOTALL | re.MULTILINE)


def test_every_piece_of_code_in_the_text_of_chapter_2_is_the_code_of_the_layer(pieces):
    files = ["\n" + "\n".join(code_of(name)) + "\n" for name in FILES]
    assert pieces
    for piece in pieces:
        wanted = ["\n" + indent(piece, " " * depth) for depth in (0, 4, 8, 12)]
        assert any(text in file for text in wanted for file in files), f"no longer the code of helpers:\n{piece}"


@pytest.mark.parametrize("name", FILES)
def test_chapter_2_shows_every_line_of_the_layer(pieces, name):
    shown = {line.strip() for piece in pieces for line in piece.splitlines()}
    assert [line for line in code_of(name) if line.strip() not in shown] == []


def test_the_pieces_fit_on_the_page(pieces):
    assert [line for piece in pieces for line in piece.splitlines() if len(line) > 78] == []
