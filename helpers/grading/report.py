"""A grade for people and programs: text for the terminal, JSON, CSV for a class, and HTML that needs no network."""

import contextlib
import csv
import json
import os
import re
import tempfile
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "pages"), autoescape=True, trim_blocks=True, lstrip_blocks=True
)


def number(value):
    """Points as people write them: 5, not 5.0."""
    return f"{value:g}"


def mark(check):
    """How a check went: a class for its colour, and a sign."""
    if check["passed"]:
        return "full", "✓"
    if check["unfinished"]:
        return "open", "–"
    # What gives no points costs none: no alarm.
    return ("open", "✗") if not check["max"] else ("part", "~") if check["points"] else ("none", "✗")


def points(check, between):
    """The points of a check, as in 8/10; "optional" where there are none to have."""
    return f"{number(check['points'])}{between}{number(check['max'])}" if check["max"] else "optional"


def cells(grade):
    """What the numbers of cells mean, if there are any."""
    said = [part for check in grade["checks"] for part in (check["message"], check["hint"])] + grade["notes"]
    if not any(re.search(r"[Cc]ell \d", part) for part in said):
        return ""
    return "Cells are counted from the top, code cells only. Jupyter's [5] beside a cell says something else: it ran as the fifth."


PAGES.filters |= {"number": number, "mark": mark, "points": points, "cells": cells}


def text(grade):
    """A grade, a ``dict`` as JSON holds it, as lines for a terminal."""
    lines = [grade["title"] or grade["file"]]
    if grade["problem"]:
        lines.append(grade["problem"])
    width = max((len(check["name"]) for check in grade["checks"]), default=0)
    for check in grade["checks"]:
        lines.append(f"  {mark(check)[1]} {check['name']:<{width}}  {points(check, '/'):>8}  {check['message']}".rstrip())
        if check["hint"] and not check["passed"]:
            lines.append(f"{'':{width + 16}}→ {check['hint']}")
    lines.append(f"Score: {number(grade['score'])} of {number(grade['max'])}")
    if grade["held"]:
        lines.append(f"Held back until a person has looked: {number(grade['held'])}")
    lines += [f"Look at this: {flag}" for flag in grade["flags"]]
    lines += [f"Note: {note}" for note in [*grade["notes"], cells(grade)] if note]
    reason = f" ({grade['isolation_reason']})" if grade["isolation_reason"] else ""
    lines.append(f"Isolation: {grade['isolation']}{reason}. Seed {grade['seed']}, {grade['seconds']:.0f} s.")
    return "\n".join(lines)


def write_json(path, value):
    """Write a file of JSON, whole or not at all."""
    _write(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def write_page(path, grade):
    """Write the HTML page of one grade."""
    _write(path, PAGES.get_template("grade.html").render(grade=grade))


def write_index(path, rows, title):
    """Write the page of a class: ``rows`` are grades with ``page``, the address of each one's own page."""
    to_see = [row for row in rows if row["problem"] or row["flags"] or row["held"]]
    _write(path, PAGES.get_template("index.html").render(rows=rows, to_see=to_see, title=title))


def write_table(path, rows):
    """Write ``grades.csv``: a row for each submission."""
    with _replacing(path, newline="") as file:
        table = csv.writer(file)
        table.writerow(
            ["submission", "experiment", "score", "max", "held", "flags", "problem", "isolation", "seed", "page"]
        )
        for row in rows:
            cells = [row["file"], row["experiment"], number(row["score"]), number(row["max"]), number(row["held"])]
            cells += [len(row["flags"]), row["problem"], row["isolation"], row["seed"], row["page"]]
            table.writerow([_plain(cell) if isinstance(cell, str) else cell for cell in cells])


def _plain(cell):
    # A text that begins like a formula would be run by a spreadsheet, and where it splits rows at semicolons or tabs,
    # a text can begin in the middle of ours.
    return re.sub(r"""(^|[;\t\r\n])([\s"]*)(?=[=+@＝＋＠－-])""", r"\1\2'", cell)


def _write(path, content):
    with _replacing(path) as file:
        file.write(content)


@contextlib.contextmanager
def _replacing(path, **how):
    # A file that takes its place when it is whole, and leaves nothing behind when it cannot be: the disk may be full.
    path, unfinished = Path(path), None
    try:
        # Lone surrogates, which names of files and JSON of strangers can hold, are no UTF-8.
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, encoding="utf-8", errors="backslashreplace", delete=False, **how
        ) as file:
            unfinished = file.name
            yield file
        os.chmod(unfinished, 0o644)
        os.replace(unfinished, path)
    except BaseException as error:
        if unfinished:
            Path(unfinished).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise
