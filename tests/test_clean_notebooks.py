"""tools/clean_notebooks.py: what is in git is clean, and nobody's work is lost on the way."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import clean_notebooks  # noqa: E402

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WIDGET = {"application/vnd.jupyter.widget-view+json": {"model_id": "1f"}, "text/plain": "IntSlider(value=0)"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to work in, with the course's settings as they are."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save(path, *cells, **metadata):
    notebook = new_notebook(cells=[new_markdown_cell("# A title"), *cells], metadata=metadata)
    nbformat.write(notebook, path)
    return path


def output_cell(*outputs, source="x"):
    return new_code_cell(source, outputs=list(outputs), execution_count=7)


def stream(text, name="stdout"):
    return new_output("stream", name=name, text=text)


def shown(data, **more):
    return new_output("display_data", data=data, **more)


def cleaned(path):
    """Clean a notebook that cleaning alone can make clean; return its cells after title and Colab cell."""
    assert clean_notebooks.main([str(path)]) == 0
    assert clean_notebooks.main(["--check", str(path)]) == 0
    return nbformat.read(path, as_version=4).cells[2:]


def complaints(path, capsys):
    """What --check says about a notebook that differs from a clean one only in what the test put there."""
    clean_notebooks.main([str(path)])
    capsys.readouterr()
    before = path.read_bytes()
    status = clean_notebooks.main(["--check", str(path)])
    assert path.read_bytes() == before
    errors = capsys.readouterr().err
    assert bool(errors) == bool(status)
    return errors


def test_the_courses_own_notebooks_are_clean(capsys):
    assert clean_notebooks.main(["--check"]) == 0, capsys.readouterr().err


# ---- what cleaning removes


@pytest.mark.parametrize(
    "dirty, clean",
    [
        ([stream("kept\n")], [stream("kept\n")]),
        ([stream("a warning\n", "stderr")], []),
        ([stream("")], []),
        ([stream("one\n"), stream("two\n")], [stream("one\ntwo\n")]),
        ([stream("one\n"), stream("warning\n", "stderr"), stream("two\n")], [stream("one\ntwo\n")]),
        ([shown({"image/png": PIXEL})], []),
        ([shown({"image/png": PIXEL, "text/plain": "Figure: a digit"})], [shown({"text/plain": "Figure: a digit"})]),
        ([shown({"text/html": "<b>1</b>", "text/plain": "1"})], [shown({"text/plain": "1"})]),
        ([shown({"image/svg+xml": "<svg/>", "text/latex": "$x$"})], [shown({"text/latex": "$x$"})]),
        ([shown({"application/javascript": "alert(1)"})], []),
        ([shown(WIDGET)], []),
        ([shown({"text/plain": "1"}, metadata={"needs_background": "light"})], [shown({"text/plain": "1"})]),
        (
            [new_output("execute_result", data={"text/plain": "4"}, execution_count=7)],
            [new_output("execute_result", data={"text/plain": "4"}, execution_count=None)],
        ),
    ],
)
def test_outputs_keep_their_text_and_lose_the_rest(folder, dirty, clean, capsys):
    path = save(folder / "a.ipynb", output_cell(*dirty))
    assert clean_notebooks.main(["--check", str(path)]) == 1
    (cell,) = cleaned(path)
    assert cell.outputs == clean
    assert cell.execution_count is None


def test_metadata_of_editors_and_kernels_goes_and_what_the_course_uses_stays(folder):
    cell = new_code_cell(
        "x",
        metadata={
            "tags": ["hide-input"],
            "nbgrader": {"grade": True},
            "mystnb": {"figure": {"name": "digits"}},
            "execution": {"iopub.execute_input": "2024-01-01T00:00:00Z"},
            "vscode": {"languageId": "python"},
            "scrolled": True,
            "editable": True,
            "deletable": False,
        },
    )
    path = save(
        folder / "a.ipynb",
        cell,
        kernelspec={"display_name": ".venv (3.11)", "language": "python", "name": "venv"},
        language_info={"name": "python", "version": "3.11.7"},
        widgets={"application/vnd.jupyter.widget-state+json": {"state": {}}},
        colab={"provenance": []},
    )
    (cell,) = cleaned(path)
    assert set(cell.metadata) == {"tags", "nbgrader", "mystnb", "deletable"}
    assert nbformat.read(path, as_version=4).metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }


def test_every_cell_gets_an_id_of_its_own_and_keeps_it(folder):
    notebook = new_notebook(cells=[new_markdown_cell("# A title"), *(new_code_cell("x") for _ in range(3))])
    raw = json.loads(nbformat.writes(notebook))
    raw["nbformat_minor"] = 4
    del raw["cells"][1]["id"]
    raw["cells"][2]["id"] = raw["cells"][3]["id"] = "twin"
    path = folder / "a.ipynb"
    path.write_text(json.dumps(raw))
    cells = cleaned(path)
    ids = [cell.id for cell in cells]
    assert len(set(ids)) == 3 and "twin" in ids
    assert [cell.id for cell in cleaned(path)] == ids


def test_the_file_is_written_in_one_way_whoever_wrote_it(folder):
    path = save(folder / "a.ipynb", output_cell(stream("é\n")))
    cleaned(path)
    expected = path.read_bytes()
    path.write_text(json.dumps(json.loads(expected), indent=4), newline="\r\n")
    assert clean_notebooks.main(["--check", str(path)]) == 1
    cleaned(path)
    assert path.read_bytes() == expected
    assert expected.endswith(b"}\n") and b"\r" not in expected and "é".encode() in expected


def test_cleaning_twice_changes_nothing_and_does_not_touch_the_file(folder, capsys):
    path = save(folder / "a.ipynb", output_cell(shown({"image/png": PIXEL, "text/plain": "Figure"})))
    cleaned(path)
    before = path.stat()
    capsys.readouterr()
    assert clean_notebooks.main([str(path)]) == 0
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert capsys.readouterr() == ("", "")


def test_sources_are_never_changed(folder):
    sources = ["  x = 1\n\n\n", "%matplotlib inline\n!ls", "print('é')\t", ""]
    path = save(folder / "a.ipynb", *map(new_code_cell, sources))
    assert [cell.source for cell in cleaned(path)] == sources


# ---- the Colab cell


def make_settings(folder, text):
    path = folder / "_config.yml"
    path.write_text(text)
    return path


def run_cell(source, have_helpers):
    """Run a cell as IPython does, where `%pip` only says what it was asked for."""
    code = f"""
import importlib.util
from IPython.core.interactiveshell import InteractiveShell
find = importlib.util.find_spec
if not {have_helpers}:
    importlib.util.find_spec = lambda name: None if name == "helpers" else find(name)
shell = InteractiveShell.instance()
shell.register_magic_function(lambda line: print("pip was asked to", line), magic_name="pip")
result = shell.run_cell({source!r})
error = result.error_before_exec or result.error_in_exec
print("ended with", type(error).__name__, error)
"""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60).stdout


def test_the_first_code_cell_finds_helpers_and_is_hidden_in_the_book(folder):
    path = save(folder / "a.ipynb", new_code_cell("x"))
    assert clean_notebooks.main([str(path)]) == 0
    title, first, second = nbformat.read(path, as_version=4).cells
    assert title.source == "# A title" and second.source == "x"
    assert first.source == clean_notebooks.colab_source()
    assert first.metadata.tags == ["colab", "remove-cell"]


def test_without_a_repository_the_cell_says_to_run_make_notebook(folder):
    source = clean_notebooks.colab_source(make_settings(folder, 'repository:\n  url: ""\n  branch: main\n'))
    ended = run_cell(source, have_helpers=False)
    assert "ended with ModuleNotFoundError" in ended and "run `make notebook` in the course's folder" in ended
    assert run_cell(source, have_helpers=True) == "ended with NoneType None\n"


def test_with_a_repository_the_cell_installs_helpers_from_there(folder):
    settings = make_settings(folder, "repository:\n  url: https://example.org/owner/course\n  branch: main\n")
    source = clean_notebooks.colab_source(settings)
    ended = run_cell(source, have_helpers=False)
    assert ended.splitlines() == [
        "pip was asked to install --quiet git+https://example.org/owner/course@main",
        "ended with NoneType None",
    ]
    assert run_cell(source, have_helpers=True) == "ended with NoneType None\n"


def test_an_old_or_moved_colab_cell_is_replaced_and_stays_one(folder):
    old = new_code_cell("an old one", metadata={"tags": ["colab"]})
    path = save(folder / "a.ipynb", new_code_cell("x"), old)
    assert [cell.source for cell in cleaned(path)] == ["x"]
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].source += "\n# edited"
    nbformat.write(notebook, path)
    assert clean_notebooks.main(["--check", str(path)]) == 1
    assert [cell.source for cell in cleaned(path)] == ["x"]


def test_a_notebook_without_code_gets_no_colab_cell(folder):
    assert cleaned(save(folder / "a.ipynb")) == []
    assert len(nbformat.read(folder / "a.ipynb", as_version=4).cells) == 1


@pytest.mark.parametrize(
    "settings, message",
    [
        ("repository: [\n", "cannot read the book's settings"),
        ("", "cannot read the book's settings"),
        ("repository:\n  url: github.com/owner/name\n", "must look like https://github.com/owner/name"),
        ("repository:\n  url: https://x.org/a b; rm\n", "must look like https://github.com/owner/name"),
    ],
)
def test_bad_settings_are_refused_in_one_line(folder, settings, message):
    with pytest.raises(SystemExit) as stopped:
        clean_notebooks.colab_source(make_settings(folder, settings))
    assert message in str(stopped.value) and "\n" not in str(stopped.value)


# ---- what only an author can mend


@pytest.mark.parametrize(
    "outputs, message",
    [
        ([new_output("error", ename="ValueError", evalue="no", traceback=["..."])], "ends in ValueError"),
        ([stream("Traceback (most recent call last):\n")], "a traceback in the output"),
        ([stream("saved to /home/somebody/course/a.png\n")], "the path /home/somebody/course/a.png"),
        ([shown({"text/plain": "PosixPath('/tmp/x/cache')"})], "the path /tmp/x/cache"),
        ([stream("file:///srv/book/index.html")], "the path /srv/book/index.html"),
        ([stream("C:\\Users\\somebody\\course")], "the path C:\\Users\\somebody"),
        ([shown({"text/plain": "<Thing at 0x7f3c2a5b9d10>"})], "memory address 0x7f3c2a5b9d10"),
    ],
)
def test_outputs_that_differ_elsewhere_are_refused(folder, capsys, outputs, message):
    errors = complaints(save(folder / "a.ipynb", output_cell(*outputs)), capsys)
    assert "cell 3" in errors and message in errors


@pytest.mark.parametrize(
    "text",
    [
        "1/2 and 3/4/5",
        "https://example.org/a/b",
        "and/or/both",
        "a ratio of 3 / 4 / 5",
        "torch.Size([1, 2])",
        "at 0x10",
    ],
)
def test_outputs_that_only_look_like_paths_pass(folder, capsys, text):
    assert complaints(save(folder / "a.ipynb", output_cell(stream(text))), capsys) == ""


def test_embedded_images_are_refused(folder, capsys):
    attached = new_markdown_cell("![a digit](attachment:digit.png)", attachments={"digit.png": {"image/png": PIXEL}})
    inline = new_markdown_cell(f"![a digit](data:image/png;base64,{PIXEL})")
    errors = complaints(save(folder / "a.ipynb", attached, inline), capsys)
    assert errors.count("an image is embedded") == 2


@pytest.mark.parametrize(
    "line",
    [
        "The kernel slides. It multiplies.",
        "- Is it large? We compute it.",
        "The image has 28 rows. Each has 28 pixels.",
        "We use `fit`. It trains.",
        "It holds that $a = b$. The rest follows.",
        "This is a fact (see the paper). We compute it.",
        "(1) It ends here. Next begins.",
    ],
)
def test_two_sentences_in_a_line_are_refused(folder, capsys, line):
    assert "more than one sentence" in complaints(save(folder / "a.ipynb", new_markdown_cell(line)), capsys)


@pytest.mark.parametrize(
    "text",
    [
        "One sentence.\nAnother sentence.",
        "1. The first.\n2. The second.",
        "## 2. The kernel",
        "The lecture by Dr. Allouche, the paper by Y. LeCun, e.g. Figure 2, cf. Chapter 3, and LeCun et al. Then on.",
        "| A cell. Another. | A table. Has lines. |",
        "```python\nx = 1  # One. Two.\n```",
        "````{note}\nOne sentence.\n````",
        "$$\na. B\n$$",
        "Run `print('One. Two.')` now.",
        "![One. Two.](figure.svg)",
        "<!-- One. Two. -->",
        "We call torch.nn.Conv2d of torch 2.4 here.",
        "What follows ... and more",
    ],
)
def test_one_sentence_in_a_line_passes(folder, capsys, text):
    assert complaints(save(folder / "a.ipynb", new_markdown_cell(text)), capsys) == ""


def test_a_directive_is_prose_and_a_code_block_is_not():
    note = "```{note}\nIn the note. Two.\n```"
    code = "```python\nIn code. Two.\n```"
    math = "```{math}\nIn math. Two.\n```"
    nested = f"````{{admonition}} Title. Two.\n{code}\nBelow the code. Two.\n{note}\n````"
    text = "\n\n".join([code, note, math, nested, "At the end. Two."])
    found = list(clean_notebooks.lines_with_two_sentences(text))
    assert found == ["In the note. Two.", "Below the code. Two.", "In the note. Two.", "At the end. Two."]


def test_a_progress_bar_that_cannot_be_turned_off_is_refused(folder, capsys):
    path = save(folder / "a.ipynb", new_code_cell("from tqdm.auto import tqdm"), new_code_cell("from tqdm import tqdm"))
    assert complaints(path, capsys).count("cannot be turned off; use `from tqdm import tqdm`") == 1


# ---- the command


def test_check_changes_nothing_and_lists_what_is_not_clean(folder, capsys):
    path = save(folder / "a.ipynb", output_cell(stream("x", "stderr"), shown({"image/png": PIXEL})), vscode={})
    before = path.read_bytes()
    assert clean_notebooks.main(["--check", str(path)]) == 1
    assert path.read_bytes() == before
    errors = capsys.readouterr().err
    for expected in (
        "first code cell",
        "cell 3",
        "execution count",
        "stderr",
        "image/png",
        "vscode",
        "make clean-notebooks",
    ):
        assert expected in errors


BROKEN = {
    "merge.ipynb": ('{\n "cells": [\n<<<<<<< HEAD\n', "is broken JSON at line 3: Expecting value; an unfinished merge"),
    "cut.ipynb": ('{"cells": [', "is broken JSON at line 1"),
    "empty.ipynb": ("", "is broken JSON at line 1"),
    "list.ipynb": ("[1, 2]", "is JSON but no notebook"),
    "other.ipynb": ('{"a": 1}', "is JSON but no notebook"),
    "cells.ipynb": (
        '{"cells": [{"cell_type": "picture"}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
        "no notebook",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("mode", [[], ["--check"], ["--execute"]])
def test_a_broken_notebook_is_named_and_left_alone_and_the_others_are_still_cleaned(folder, capsys, name, mode):
    content, message = BROKEN[name]
    broken = folder / name
    broken.write_text(content)
    other = save(folder / "z.ipynb", output_cell(shown({"image/png": PIXEL}), source="1 + 1"))
    assert clean_notebooks.main([*mode, str(folder)]) == 1
    errors = capsys.readouterr().err
    (line,) = [line for line in errors.splitlines() if name in line]
    assert message in line
    assert broken.read_text() == content
    assert (PIXEL in other.read_text()) == (mode == ["--check"])


def test_bytes_that_are_no_text_are_named_and_left_alone(folder, capsys):
    path = folder / "a.ipynb"
    path.write_bytes(b"\xff\xfe\x00")
    assert clean_notebooks.main([str(path)]) == 1
    assert "is not UTF-8 text" in capsys.readouterr().err
    assert path.read_bytes() == b"\xff\xfe\x00"


def test_a_write_that_fails_leaves_the_old_notebook_and_no_scratch_file(folder, monkeypatch, capsys):
    path = save(folder / "a.ipynb", output_cell(stream("x", "stderr")))
    before = path.read_bytes()

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(clean_notebooks.os, "replace", fail)
    assert clean_notebooks.main([str(path)]) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert [each.name for each in folder.iterdir()] == ["a.ipynb"]


def test_links_and_permissions_survive(folder):
    path = save(folder / "a.ipynb", output_cell(stream("x", "stderr")))
    path.chmod(0o640)
    link = folder / "link.ipynb"
    link.symlink_to(path)
    assert clean_notebooks.main([str(link)]) == 0
    assert link.is_symlink() and path.stat().st_mode & 0o777 == 0o640
    assert clean_notebooks.main(["--check", str(path)]) == 0


def test_folders_are_searched_and_checkpoints_are_not(folder, capsys):
    for name in ("b.ipynb", "a.ipynb", ".ipynb_checkpoints/a-checkpoint.ipynb"):
        (folder / name).parent.mkdir(exist_ok=True)
        save(folder / name, new_code_cell("x"))
    assert clean_notebooks.main(["."]) == 0
    assert capsys.readouterr().out == "a.ipynb: cleaned\nb.ipynb: cleaned\n"


def test_a_path_that_is_not_there_and_a_folder_without_notebooks_are_errors(folder, capsys):
    assert clean_notebooks.main(["missing.ipynb"]) == 1
    assert "missing.ipynb: cannot be read: No such file or directory" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        clean_notebooks.main(["."])
    assert stopped.value.code == 2
    assert "there is no notebook in ." in capsys.readouterr().err


# ---- --execute, and nbval after it

CELLS = [
    "import os, sys, warnings\nfrom pathlib import Path\nfrom tqdm import tqdm",
    "print(sorted(path.name for path in Path().iterdir()))",
    "for _ in tqdm(range(3)):\n    pass\nprint('one')\nsys.stdout.flush()\nprint('two')",
    "class Figure:\n    def _repr_mimebundle_(self, include=None, exclude=None):\n"
    "        return {'text/plain': 'Figure: a digit', 'text/html': f'<svg id=\"{os.getpid()}\"/>'}\n\nFigure()",
    "quiet = 1",
]


@pytest.fixture
def executed(folder):
    path = save(folder / "a.ipynb", *(new_code_cell(source) for source in CELLS))
    assert clean_notebooks.main(["--execute", str(path)]) == 0
    return path


def strict_nbval(path):
    (path.parent / "conftest.py").write_bytes((ROOT / "conftest.py").read_bytes())
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval", "-q", "-p", "no:cacheprovider", "--color=no", path.name],
        cwd=path.parent,
        capture_output=True,
        text=True,
        timeout=300,
        env={name: value for name, value in os.environ.items() if name != "TQDM_DISABLE"},
    )
    return result.returncode, result.stdout


def test_execute_stores_clean_outputs_made_in_the_notebooks_folder(executed):
    assert clean_notebooks.main(["--check", str(executed)]) == 0
    outputs = [cell.outputs for cell in nbformat.read(executed, as_version=4).cells[2:]]
    assert [[output.get("text") or output.data for output in each] for each in outputs] == [
        [],
        ["['a.ipynb']\n"],
        ["one\ntwo\n"],  # and no progress bar
        [{"text/plain": "Figure: a digit"}],
        [],
    ]


def test_strict_nbval_agrees_until_an_output_changes_or_appears(executed):
    notebook = nbformat.read(executed, as_version=4)
    notebook.cells[3].source = "print(['a.ipynb'])"  # conftest.py is now there too
    nbformat.write(notebook, executed)
    status, report = strict_nbval(executed)
    assert status == 0 and "6 passed" in report, report

    notebook.cells[3].source = "print(['another.ipynb'])"
    notebook.cells[5].source = CELLS[3].replace("a digit", "another digit")
    notebook.cells[6].source = "print('something new')"
    notebook.cells.append(new_code_cell("warnings.warn('something new')"))
    nbformat.write(notebook, executed)
    status, report = strict_nbval(executed)
    assert status == 1 and "4 failed, 3 passed" in report, report


def test_a_cell_that_fails_is_named_and_the_notebook_left_as_it_was(folder, capsys):
    path = save(folder / "a.ipynb", new_code_cell("x = 1"), new_code_cell("raise ValueError('two\\nlines')"))
    assert clean_notebooks.main([str(path)]) == 0
    before = path.read_bytes()
    assert clean_notebooks.main(["--execute", str(path)]) == 1
    assert "cell 4 fails with ValueError: two lines; left untouched" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_a_kernel_that_dies_is_an_error_in_one_line(folder, capsys):
    path = save(folder / "a.ipynb", new_code_cell("import os; os._exit(1)"))
    assert clean_notebooks.main(["--execute", str(path)]) == 1
    assert "a.ipynb: Kernel died; left untouched\n" in capsys.readouterr().err


def test_of_a_figure_that_readers_move_only_its_words_stay():
    words = "Explorable: a kernel slides over an image."
    data = {"text/plain": words, "text/html": "<figure></figure>", clean_notebooks.WIDGET: {"model_id": "1"}}
    kept, removed = clean_notebooks.clean_outputs([nbformat.v4.new_output("display_data", data)])
    assert [output.data for output in kept] == [{"text/plain": words}]
    assert removed == [clean_notebooks.WIDGET, "text/html"]
