"""Building the book: what it says when a cell fails, and when it runs a notebook again."""

import nbformat
import pytest
from jupyter_cache import get_cache

from tools import build_book


@pytest.fixture
def write_notebook(tmp_path, monkeypatch):
    monkeypatch.setattr(build_book, "ROOT", tmp_path)

    def write(*sources):
        cells = [nbformat.v4.new_markdown_cell("# A chapter"), *map(nbformat.v4.new_code_cell, sources)]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        path = tmp_path / "chapter.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
        return path

    return write


def test_a_cell_that_fails_is_named_with_its_reason(write_notebook, tmp_path):
    path = write_notebook("x = 1", "\n\ny = x / 0", "print('never')")
    with pytest.raises(SystemExit) as stop:
        build_book.run(path, get_cache(str(tmp_path / "cache")), timeout=60)
    assert str(stop.value) == (
        "\nchapter.ipynb, cell 3 ('y = x / 0') failed:\n  ZeroDivisionError: division by zero\nThe book was not built."
    )


def test_a_cell_that_never_ends_is_named(write_notebook, tmp_path):
    path = write_notebook("import time; time.sleep(60)")
    with pytest.raises(SystemExit, match=r"cell 2 \('import time; time.sleep\(60\)'\) failed:\n  no answer within 1 seconds"):
        build_book.run(path, get_cache(str(tmp_path / "cache")), timeout=1)


def test_a_notebook_runs_again_only_when_its_code_changed(write_notebook, tmp_path):
    cache = get_cache(str(tmp_path / "cache"))
    count = "open('runs', 'a').write('.')"
    for sources, runs in [((count,), 1), ((count,), 1), ((count, "1 + 1"), 2)]:
        build_book.run(write_notebook(*sources), cache, timeout=60)
        assert len((tmp_path / "runs").read_text()) == runs


def test_the_fingerprint_follows_content_and_not_compiled_files(tmp_path, monkeypatch):
    monkeypatch.setattr(build_book, "ROOT", tmp_path)
    helpers = tmp_path / "helpers"
    (helpers / "__pycache__").mkdir(parents=True)
    module = helpers / "conv.py"
    module.write_text("a = 1")
    first = build_book.fingerprint([helpers], "3.11")
    (helpers / "__pycache__" / "conv.pyc").write_text("x")
    module.touch()
    assert build_book.fingerprint([helpers], "3.11") == first
    assert build_book.fingerprint([helpers], "3.12") != first
    module.write_text("a = 2")
    assert build_book.fingerprint([helpers], "3.11") != first
