"""A real JupyterLab with a live kernel: Python and the reader move two figures; a learner does the first rung."""

import contextlib
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest
from playwright.sync_api import TimeoutError, expect
from test_pages import ROOT, browser  # noqa: F401 (browser is a fixture)

from helpers import explorables

NOTEBOOK = [
    "from helpers import explorables\nfirst = explorables.Convolution()\nfirst",
    "second = explorables.Pooling(caption='Windows.')\nsecond",
    "first.position = (2, 1)\nfirst.kernel = [[0, 0], [0, 9]]\nsecond.mode = 'average'",
    "print('PYTHON READS', first.position, first.kernel, second.right, second.numbers()['result'])",
    "third = explorables.Pooling(mode='average')\nthird",
    "seven = first.data['digits'][7 * 784 : 8 * 784]\nprint('SEVEN', sum(first.image, []) == [round(x / 255, 2) for x in seven])",
]

EVERY_FIGURE = [f"from helpers import explorables\nexplorables.{name}()" for name in explorables.__all__]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab of this test's own, with its token; its folder holds three notebooks and nothing else."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "notebooks").mkdir()
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    for name, sources in {"figures": NOTEBOOK, "every_figure": EVERY_FIGURE}.items():
        notebook = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
        notebook.cells = [nbformat.v4.new_code_cell(source) for source in sources]
        nbformat.write(notebook, folder / "notebooks" / f"{name}.ipynb")
    shutil.copy(ROOT / "exercises" / "02_conv2d.ipynb", folder / "notebooks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex()
    own = {f"JUPYTER_{kind}_DIR": str(folder / kind.lower()) for kind in ("CONFIG", "RUNTIME", "DATA")}
    own |= {"IPYTHONDIR": str(folder / "ipython"), "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings")}
    own |= {"JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"), "PYTHONPATH": str(ROOT)}
    options = ["--no-browser", "--allow-root", f"--port={port}", "--ServerApp.port_retries=0", "--ServerApp.ip=127.0.0.1"]
    options += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder / 'notebooks'}"]
    log = (folder / "log").open("w")
    server = subprocess.Popen([sys.executable, "-m", "jupyterlab", *options], stdout=log, stderr=log, env={**os.environ, **own})
    try:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 90
        while not answers(f"{address}/api/status?token={token}"):
            assert server.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.3)
        yield address, token
        for kernel in json.load(urllib.request.urlopen(f"{address}/api/kernels?token={token}")):
            stop = urllib.request.Request(f"{address}/api/kernels/{kernel['id']}?token={token}", method="DELETE")
            urllib.request.urlopen(stop)
    finally:
        server.terminate()
        server.wait(30)
        log.close()


def answers(address):
    try:
        return urllib.request.urlopen(address, timeout=5).status == 200
    except OSError:
        return False


@pytest.fixture
def open_notebook(lab, browser):  # noqa: F811
    """Opens a notebook by its name and waits for its kernel; an error of the page's scripts fails the test."""
    address, token = lab
    page = browser.new_page(viewport={"width": 1280, "height": 1600})
    page.set_default_timeout(60_000)
    expect.set_options(timeout=60_000)
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))

    def open_it(name):
        # A workspace of its own: without the notebooks that another test had open.
        page.goto(f"{address}/lab/workspaces/{name.partition('.')[0]}/tree/{name}?token={token}")
        page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()
        return page

    yield open_it
    page.close()
    assert not errors


def run_cell(page, cell):
    """Run the cell that has the focus, and wait until it is done. JupyterLab may not listen yet, so it is asked again."""
    prompt = cell.locator(".jp-InputPrompt")
    before = prompt.inner_text()
    for _ in range(20):
        page.keyboard.press("Control+Enter")
        with contextlib.suppress(AssertionError):
            expect(prompt).not_to_have_text(before, timeout=3_000)
            break
    expect(prompt).to_have_text(re.compile(r"\[\d+\]"))


def test_python_and_the_reader_move_the_same_figure(open_notebook):
    page = open_notebook("figures.ipynb")
    cells = page.locator(".jp-Notebook .jp-CodeCell")

    def run(number):
        cells.nth(number).locator(".cm-content").click()
        run_cell(page, cells.nth(number))

    expect(cells.nth(len(NOTEBOOK) - 1)).to_be_attached()
    run(0)
    run(1)
    first, second = (cells.nth(i).locator(".explorable .live") for i in (0, 1))
    expect(first.locator("[data-value=sum]")).to_have_text("4")
    expect(second.locator("[data-value=result]")).to_have_text("4")
    expect(cells.nth(1).locator(".caption")).to_have_text("Windows.")
    assert not page.locator(".explorable .fallback").count(), "in a notebook the widget shows, and not the HTML beside it"

    # From Python into the page.
    run(2)
    expect(first.get_by_text("row 2, column 1 of the map")).to_be_visible()
    expect(first.locator("[data-value=sum]")).to_have_text("9")
    expect(second.locator("[data-value=result]")).to_have_text("2.5")

    # From the page into Python: by button, by arrow key, which JupyterLab must not take for its own, and by typing.
    first.get_by_role("button", name="Back").click()
    first.get_by_role("grid", name="activation map").locator("[tabindex='0']").focus()
    page.keyboard.press("ArrowUp")
    first.get_by_label("weight in row 0, column 0").fill("−1/2")
    page.keyboard.press("Enter")
    second.get_by_role("button", name="Shift to the right: more").click()
    run(3)
    # Shifted, the first window is 0, 1, 0, 4.
    expect(cells.nth(3).locator(".jp-OutputArea-output")).to_have_text("PYTHON READS (1, 0) [[-0.5, 0], [0, 9]] 1 1.25")
    first.get_by_label("Image", exact=True).select_option("digit 7")
    run(5)
    expect(cells.nth(5).locator(".jp-OutputArea-output")).to_have_text("SEVEN True")

    # Another figure of the same kind has choices of its own.
    run(4)
    third = cells.nth(4).locator(".explorable .live")
    expect(third.get_by_role("radio", name="average")).to_be_checked()
    third.locator("label", has_text="maximum").click()
    expect(third.get_by_role("radio", name="maximum")).to_be_checked()
    expect(second.get_by_role("radio", name="average")).to_be_checked()


def test_every_figure_comes_to_life(open_notebook):
    page = open_notebook("every_figure.ipynb")
    page.locator(".jp-Notebook .jp-CodeCell .cm-content").first.click()
    active = page.locator(".jp-Notebook .jp-Cell.jp-mod-active")
    for name in explorables.__all__:
        assert name in active.inner_text()
        run_cell(page, active)
        expect(active.locator(".explorable .live")).to_be_visible()
        expect(active.locator(".explorable .live [data-value]", has_text=re.compile(r"\d")).first).to_be_visible()
        assert not active.locator(".explorable .fallback").count()
        page.keyboard.press("Escape")
        page.keyboard.press("ArrowDown")


def test_a_learner_fills_in_a_blank_and_is_told_what_to_look_at(open_notebook):
    page = open_notebook("02_conv2d.ipynb")
    active = page.locator(".jp-Notebook .jp-Cell.jp-mod-active")

    def go_on_to(words):
        """Run cell after cell, until the one with these words is the active one."""
        for _ in range(30):
            if words in active.inner_text():
                return
            before = active.element_handle()
            page.keyboard.press("Shift+Enter")
            with contextlib.suppress(TimeoutError):  # JupyterLab may not listen yet
                page.wait_for_function("cell => !cell.classList.contains('jp-mod-active')", arg=before, timeout=3_000)
        raise AssertionError(f"no cell with {words!r}")

    def run():
        """Run the active cell; returns what it writes."""
        run_cell(page, active)
        return "".join(active.locator(".jp-OutputArea-output").all_inner_texts()).strip()

    def fill_in(text):
        page.keyboard.press("Enter")
        page.keyboard.press("Control+a")
        page.keyboard.insert_text(text)
        page.keyboard.press("Escape")
        return run()

    page.locator(".jp-Notebook .jp-Cell").first.click()
    page.keyboard.press("Escape")
    go_on_to("# The check of your number")
    assert run().splitlines()[-1].strip() == "NotImplementedError:"
    go_on_to("Now the same as a function.")
    hint = active.locator("details")
    expect(hint.get_by_text("multiplies cell by cell")).to_be_hidden()
    hint.locator("summary").click()
    expect(hint.get_by_text("multiplies cell by cell")).to_be_visible()
    go_on_to("def one_window(")

    def answer_is(expression):
        """Write the answer, run it and its check; returns what the check writes last."""
        assert fill_in(f"def one_window(window, kernel):\n    return {expression}") == ""
        page.keyboard.press("ArrowDown")
        said = run()
        page.keyboard.press("ArrowUp")
        return said.splitlines()[-1]

    assert answer_is("window * kernel") == "AssertionError: There are 9 numbers, one for each cell. Add them up."
    assert "The operator @ multiplies matrices." in answer_is("(window @ kernel).sum()")
    assert answer_is("(window * kernel).sum()") == "Rung 1: passed."
