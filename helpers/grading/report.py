"""A grade for people and programs: text for the terminal, JSON, CSV for a class, and HTML that needs no network."""

import csv
import json
import os
import tempfile
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "pages"), autoescape=True, trim_blocks=True, lstrip_blocks=True
)


def number(value):
    """Points as people write them: 5, not 5.0."""
    return f"{value:g}"


PAGES.filters["number"] = number


def text(grade):
    """A grade, a ``dict`` as JSON holds it, as lines for a terminal."""
    lines = [grade["title"] or grade["file"]]
    if grade["problem"]:
        lines.append(grade["problem"])
    width = max((len(check["name"]) for check in grade["checks"]), default=0)
    for check in grade["checks"]:
        mark = "✓" if check["passed"] else "✗" if not check["points"] else "~"
        points = f"{number(check['points'])}/{number(check['max'])}"
        lines.append(f"  {mark} {check['name']:<{width}}  {points:>8}  {check['message']}".rstrip())
        if check["hint"] and not check["passed"]:
            lines.append(f"{'':{width + 16}}→ {check['hint']}")
    lines.append(f"Score: {number(grade['score'])} of {number(grade['max'])}")
    if grade["held"]:
        lines.append(f"Held back until a person has looked: {number(grade['held'])}")
    lines += [f"Look at this: {flag}" for flag in grade["flags"]]
    lines += [f"Note: {note}" for note in grade["notes"]]
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
    _write(path, PAGES.get_template("index.html").render(rows=rows, title=title))


def write_table(path, rows):
    """Write ``grades.csv``: a row for each submission."""
    with tempfile.NamedTemporaryFile("w", dir=Path(path).parent, newline="", encoding="utf-8", delete=False) as file:
        table = csv.writer(file)
        table.writerow(
            ["submission", "experiment", "score", "max", "held", "flags", "problem", "isolation", "seed", "page"]
        )
        for row in rows:
            cells = [row["file"], row["experiment"], number(row["score"]), number(row["max"]), number(row["held"])]
            cells += [len(row["flags"]), row["problem"], row["isolation"], row["seed"], row["page"]]
            # A text that begins like a formula would be run by a spreadsheet.
            table.writerow(
                [f"'{cell}" if isinstance(cell, str) and cell[:1] in "=+-@\t\r" and cell else cell for cell in cells]
            )
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


def _write(path, content):
    path = Path(path)
    # Lone surrogates, which JSON of strangers can hold, are no UTF-8.
    with tempfile.NamedTemporaryFile("w", dir=path.parent, encoding="utf-8", errors="replace", delete=False) as file:
        file.write(content)
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)
