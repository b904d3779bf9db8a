"""Makes nbval (``pytest --nbval``) compare the notebooks as git holds them, see tools/clean_notebooks.py.

And knows the marker ``row``, by which the coverage page finds the tests that prove a row of lecture.yml.
"""

import os
import signal

import hypothesis

# The same examples in every run: a change lands or does not for what it is, not for what was drawn.
hypothesis.settings.register_profile("repeatable", derandomize=True)
hypothesis.settings.load_profile("repeatable")


def pytest_configure(config):
    config.addinivalue_line("markers", "row(*ids): proves what these rows of lecture.yml say, see tools/coverage_page.py")
    # What a shell starts in the background has Ctrl-C ignored, and so has all that it starts: the tests press it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("nbval", False) or config.getoption("nbval_lax", False):
        # Read by the kernels that nbval starts: nobody watches a progress bar there.
        os.environ.setdefault("TQDM_DISABLE", "1")


def pytest_itemcollected(item):
    if item.path.suffix == ".ipynb":
        # Figures are HTML, which git never holds: what is compared is their text, "Figure: ...".
        item.parent.skip_compare = {*item.parent.skip_compare, "text/html"}
        # Git holds no execution counts either. Without one nbval takes a cell for one that never ran, and would refuse
        # its outputs, or not look at new ones.
        item.cell.execution_count = 0
