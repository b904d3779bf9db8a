"""A class of hostile and odd submissions, graded as one folder: each gets exactly what it has earned, and its row.

They need bubblewrap (``apt install bubblewrap``). Without it these tests are skipped, unless the environment sets
REQUIRE_SANDBOX=1: code like this must not run where it can do harm.
"""

import csv
import os
import socket
import threading
from pathlib import Path

import psutil
import pytest
from hostile import cases, experiments

from helpers.grading import folder, sandbox

ROOT = Path(__file__).resolve().parent.parent
LEVEL, REASON = sandbox.best_level()

if os.environ.get("REQUIRE_SANDBOX") != "1":
    pytestmark = pytest.mark.skipif(LEVEL != sandbox.FULL, reason=REASON)

FUNCTIONS = {case.name: case for case in cases.function_cases(ROOT, 0)}
NETWORKS = {case.name: case for case in cases.network_cases(ROOT)}


@pytest.fixture(scope="module")
def server():
    """A server on this machine, and the list of those who came."""
    visitors = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def welcome():
            while True:
                try:
                    visitors.append(listener.accept())
                except OSError:
                    return

        threading.Thread(target=welcome, daemon=True).start()
        yield listener.getsockname()[1], visitors
        listener.shutdown(socket.SHUT_RDWR)


def grade(folder_of_cases, out, every, experiment):
    folder_of_cases.mkdir(exist_ok=True)
    for case in every:
        (folder_of_cases / case.file_name).write_text(case.content, encoding="utf-8")
    return {row["file"]: row for row in folder.grade_all(folder_of_cases, out, experiment, jobs=os.cpu_count() or 1)}


@pytest.fixture(scope="module")
def functions(tmp_path_factory, server):
    assert LEVEL == sandbox.FULL, REASON
    place = tmp_path_factory.mktemp("functions")
    os.environ["GRADING_TEST_SECRET"] = "not for strangers"
    (place / "elsewhere").mkdir()
    (place / "elsewhere" / "right.ipynb").write_text(cases.notebook(cases.IMPORTS, cases.ADD, cases.CONV))
    every = cases.function_cases(ROOT, server[0])
    submissions = place / "submissions"
    submissions.mkdir()
    (submissions / "a link to a file.ipynb").symlink_to(place / "elsewhere" / "right.ipynb")
    (submissions / "a link to a folder").symlink_to(place / "elsewhere")
    (submissions / "a link to nothing.ipynb").symlink_to(place / "nothing")
    (submissions / "a folder of nothing").mkdir()
    (submissions / "somebody" / "deep").mkdir(parents=True)
    (submissions / "somebody" / "deep" / "mine.ipynb").write_text(cases.notebook(cases.IMPORTS, cases.ADD))
    (submissions / ".hidden").write_text("")
    os.mkfifo(submissions / "a pipe.ipynb")
    with open(submissions / "too large.ipynb", "wb") as file:
        file.truncate(101 * 2**20)
    out = place / "report"
    return grade(submissions, out, every, experiments.FUNCTIONS), out


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    assert LEVEL == sandbox.FULL, REASON
    place = tmp_path_factory.mktemp("networks")
    return grade(place / "submissions", place / "report", NETWORKS.values(), experiments.NETWORK)


def check(case, row):
    report = str(row)
    assert row["score"] == case.points, report
    assert row["held"] == case.held, report
    assert case.says in report
    assert not row["held"] or row["flags"]
    assert row["isolation"] == sandbox.FULL


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_submission_gets_what_it_has_earned(name, functions):
    check(FUNCTIONS[name], functions[0][FUNCTIONS[name].file_name])


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_gets_what_it_has_earned(name, networks):
    check(NETWORKS[name], networks[NETWORKS[name].file_name])


@pytest.mark.parametrize(
    "name, says",
    {
        "a link to a file.ipynb": "links are not followed",
        "a link to a folder": "links are not followed",
        "a link to nothing.ipynb": "links are not followed",
        "a folder of nothing": "not a file",
        "a pipe.ipynb": "not a file",
        "too large.ipynb": "larger than",
    }.items(),
)
def test_what_is_no_file_has_a_row_that_says_so(name, says, functions):
    row = functions[0][name]
    assert row["score"] == 0
    assert says in row["problem"]


def test_a_notebook_in_a_folder_of_its_own_is_found(functions):
    assert functions[0]["somebody/deep/mine.ipynb"]["score"] == 2


def test_nobody_lost_a_row_and_hidden_files_have_none(functions):
    rows, out = functions
    with open(out / "grades.csv", newline="", encoding="utf-8") as file:
        table = list(csv.reader(file))
    assert len(table) - 1 == len(rows) == len(FUNCTIONS) + 7


def test_nobody_reached_the_network(functions, server):
    assert not server[1]


def test_nobody_left_a_file_outside(functions):
    for place in (ROOT, ROOT / "helpers", Path("/usr"), Path("/var/tmp"), Path("/etc"), Path.home()):
        assert not (place / "hostile-was-here").exists()


def test_nobody_left_a_process_behind(functions, networks):
    mine = psutil.Process().children(recursive=True)
    assert not [process for process in mine if "helpers.grading.worker" in " ".join(process.cmdline())]


def test_no_name_and_no_message_of_a_stranger_is_run_by_a_browser_or_a_spreadsheet(functions):
    _, out = functions
    for page in [out / "index.html", *out.glob("submissions/*.html")]:
        content = page.read_text(encoding="utf-8")
        assert "<script" not in content and "<img" not in content
    with open(out / "grades.csv", newline="", encoding="utf-8") as file:
        assert not [cell for row in csv.reader(file) for cell in row if cell.startswith(("=", "+", "@"))]
