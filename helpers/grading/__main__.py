"""``python -m helpers.grading FILE`` grades one notebook, ``python -m helpers.grading FOLDER --out REPORT`` a class."""

import argparse
import os
import sys
from pathlib import Path

from helpers.grading import experiments, folder, judge, report, sandbox


def main(arguments=None):
    """Grade what the command line names.

    Returns
    -------
    int
        0 if grading worked, whatever the score; 1 if the reports could not be written, say on a full disk; 2 for
        arguments that cannot be used; 130 after Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a name need not be text, nor a terminal know every sign
    parser = argparse.ArgumentParser(
        prog="python -m helpers.grading",
        description="Grade a notebook of a home experiment, or a folder of them (with --out).",
    )
    parser.add_argument("path", type=Path, metavar="FILE or FOLDER")
    parser.add_argument(
        "--experiment", choices=experiments.NAMES, help="by default told from the file's name or content"
    )
    parser.add_argument("--seed", type=int, help="repeat a grading with the inputs that it drew")
    parser.add_argument("--json", type=Path, metavar="FILE", help="one notebook: write the grade as JSON")
    parser.add_argument("--html", type=Path, metavar="FILE", help="one notebook: write the grade as a page")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="a folder: where the reports go")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="a folder: how many at once (default: cores)"
    )
    parser.add_argument(
        "--part", type=_part, default=(1, 1), metavar="K/N", help="a folder: only the K-th of N shares of it"
    )
    parser.add_argument("--unsafe", action="store_true", help="a folder: grade it even without full isolation")
    given = parser.parse_args(arguments)
    experiment = experiments.load(given.experiment) if given.experiment else None

    if given.path.is_dir():
        if given.out is None:
            parser.error("a folder needs --out FOLDER for the reports")
        if given.json or given.html:
            parser.error("--json and --html are for one notebook; a folder gets them all under --out")
        if given.jobs < 1:
            parser.error("--jobs must be at least 1")
        if Path(os.path.realpath(given.path)).is_relative_to(os.path.realpath(given.out)):
            parser.error(f"{given.path} lies in {given.out}: the reports need a folder of their own, --out report/")
        level, reason = sandbox.best_level()
        if level != sandbox.FULL and not given.unsafe:
            parser.error(
                f"{reason}. Without it the submissions could read and change what you can, so a folder is not graded. "
                "Install it, or, for code that you trust, add --unsafe"
            )
        try:
            (given.out / "submissions").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            parser.error(f"{given.out} cannot be made: {error.strerror}")
        for place in (given.out, given.out / "submissions"):
            if not os.access(place, os.W_OK):
                parser.error(f"{place} cannot be written to")
        try:
            rows = folder.grade_all(
                given.path, given.out, experiment, jobs=given.jobs, seed=given.seed, part=given.part
            )
        except KeyboardInterrupt:
            print(
                f"Interrupted. {given.out} holds what was graded, and the same command goes on from there.",
                file=sys.stderr,
            )
            return 130
        except OSError as error:
            where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
            print(
                f"Stopped. {where}{error.strerror}. What was graded before is kept: mend this, and the same command "
                "goes on from there.",
                file=sys.stderr,
            )
            return 1
        print(f"{len(rows)} submission{'s' * (len(rows) != 1)}: {given.out / 'index.html'}, {given.out / 'grades.csv'}")
        return 0

    if not given.path.exists():
        parser.error(f"there is no file {given.path}")
    if given.out:
        parser.error("--out is for a folder; for one notebook there are --json and --html")
    grade = judge.grade(given.path, experiment, seed=given.seed).as_dict()
    if grade["problem"] and not grade["experiment"]:
        parser.error(f"{given.path}: {grade['problem']} Name it with --experiment")
    print(report.text(grade))
    for path, write in ((given.json, report.write_json), (given.html, report.write_page)):
        if path:
            try:
                write(path, grade)
            except OSError as error:
                parser.error(f"{path} cannot be written: {error.strerror}")
    return 0


def _part(text):
    share, _, shares = text.partition("/")
    if not (share.isdecimal() and shares.isdecimal() and 1 <= int(share) <= int(shares)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a share such as 3/10")
    return int(share), int(shares)


if __name__ == "__main__":
    sys.exit(main())
