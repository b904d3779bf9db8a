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


def test_a_line_that_arrives_in_pieces_stays_one_line(write_notebook, tmp_path):
    cache = get_cache(str(tmp_path / "cache"))
    path = write_notebook("import sys\nfor word in ('one', 'line\\n'):\n    print(word, end=' ')\n    sys.stdout.flush()")
    build_book.run(path, cache, timeout=60)
    cached = cache.get_cache_bundle(cache.match_cache_notebook(nbformat.read(path, as_version=4)).pk).nb
    assert [output.text for output in cached.cells[-1].outputs] == ["one line\n "]


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


@pytest.mark.parametrize("source", ["helpers/conv.py", "results/conv2d.json", "requirements.txt"])
def test_outputs_are_made_anew_when_what_they_come_from_changes(tmp_path, monkeypatch, source):
    monkeypatch.setattr(build_book, "ROOT", tmp_path)
    for name in ("helpers/conv.py", "results/conv2d.json", "requirements.txt", "README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    first = build_book.fingerprint_of_outputs()
    (tmp_path / "README.md").write_text("2")
    assert build_book.fingerprint_of_outputs() == first
    (tmp_path / source).write_text("2")
    assert build_book.fingerprint_of_outputs() != first
