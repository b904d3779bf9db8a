"""How much a page of the book transfers, and how soon it can be used on a slow line: ``python benchmarks/pages.py``.

Run ``make book`` first. Each page is opened in Chromium with an empty cache, at 1.6 Mbit/s and
with a processor made four times slower, from a server on this machine that compresses text, as public servers do.
It writes ``results/pages.json``, beside what ``recording.py`` describes:

    line_bits_per_second, processor_slowdown, browser
    pages           list of
        page
        kilobytes           transferred, compressed, without weights and recordings (the next column)
        data_kilobytes      weights and recordings that figures of the page draw from
        seconds             until the text can be read and every figure answers
        longest_task_seconds    after that, the longest time in which the page does nothing else, so that a key has to wait
        complete_seconds    until all weights have come, those of a second network, too

All of these are medians of the repetitions; the first and the last end with the frame drawn then.
"""

import contextlib
import functools
import gzip
import http.server
import re
import shutil
import statistics
import sys
import threading
from pathlib import Path

import recording
from playwright.sync_api import TimeoutError, sync_playwright
from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "_build" / "html"
BITS_PER_SECOND = 1_600_000
SLOWDOWN = 4
REPETITIONS = 5
COMPRESSED = (".html", ".js", ".css", ".svg", ".json", ".txt")
# Looks before every frame that is drawn: is the parser done, is every figure in its place, and has it all its data? A task that
# began before the figures were there counts from then on.
WATCH = """
    const times = { longest_task_seconds: 0 };
    new PerformanceObserver(list => {
        for (const { startTime, duration } of list.getEntries()) {
            const after = Math.min(duration, startTime + duration - 1000 * (times.seconds ?? Infinity)) / 1000;
            times.longest_task_seconds = Math.max(times.longest_task_seconds, after);
        }
    }).observe({ type: "longtask", buffered: true });
    const complete = ({ model, dataset }) => {
        return (dataset.later || '').split(' ').every(name => !name || name in model.get('data'));
    };
    const look = () => {
        if (document.readyState !== 'loading' && !document.querySelector('[data-explorable]:not(.mounted)')) {
            times.seconds ??= performance.now() / 1000;
            if ([...document.querySelectorAll('[data-explorable]')].every(complete)) times.complete_seconds ??= performance.now() / 1000;
        }
        if (times.complete_seconds) self.times = times;
        else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
"""


class Compressing(http.server.SimpleHTTPRequestHandler):
    """A server that compresses text, and nothing else."""

    def do_GET(self):
        path = Path(self.translate_path(self.path))
        if path.suffix not in COMPRESSED or not path.is_file():
            return super().do_GET()
        content = packed(path)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@functools.cache
def packed(path):
    """The file as it travels: compressed once, so that the server takes no time for it."""
    return gzip.compress(path.read_bytes(), 6)


def visit(browser, address):
    """Open a page with an empty cache; returns what the record holds of a page. Raises playwright's TimeoutError."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    line = context.new_cdp_session(tab)
    line.send("Network.enable")
    line.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": BITS_PER_SECOND / 8, "uploadThroughput": BITS_PER_SECOND / 8},
    )
    line.send("Emulation.setCPUThrottlingRate", {"rate": SLOWDOWN})
    names, sizes = {}, {}
    line.on("Network.requestWillBeSent", lambda event: names.setdefault(event["requestId"], event["request"]["url"]))
    line.on("Network.loadingFinished", lambda event: sizes.update({event["requestId"]: event["encodedDataLength"]}))
    tab.add_init_script(WATCH)
    try:
        tab.goto(address)
        tab.wait_for_function("self.times")
        tab.wait_for_function("[...document.images].every(picture => picture.loading !== 'lazy')")  # book.js asks for all
        tab.wait_for_load_state("networkidle")
        times = tab.evaluate("self.times")
    finally:
        context.close()
    travelled = {names[key]: size for key, size in sizes.items() if names.get(key, "").startswith("http")}
    data = sum(size for name, size in travelled.items() if re.search("/explorables/data_(lenet|training)_", name))
    return {"kilobytes": (sum(travelled.values()) - data) / 1000, "data_kilobytes": data / 1000} | times


def main():
    pages = sorted(path.relative_to(BOOK).as_posix() for path in BOOK.rglob("*.html") if "_static" not in path.parts)
    pages = [page for page in pages if 'http-equiv="Refresh"' not in (BOOK / page).read_text(encoding="utf-8")]
    if not pages:
        sys.exit(f"There is no book in {BOOK}: run make book first.")
    record = recording.about(__doc__.split(":")[0] + ".", "python benchmarks/pages.py")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Compressing, directory=BOOK))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    rows = []
    with sync_playwright() as playwright:
        programs = map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))
        program = next(filter(None, programs), None)  # None: the one that playwright installed
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        record |= {"line_bits_per_second": BITS_PER_SECOND, "processor_slowdown": SLOWDOWN, "browser": browser.version}
        for page in tqdm(pages, unit="page"):
            visits = []
            for _ in range(2 * REPETITIONS):
                # Once in about a hundred visits the browser's slow line brings nothing more of any file, even of the page's text.
                with contextlib.suppress(TimeoutError):
                    visits.append(visit(browser, f"http://127.0.0.1:{server.server_port}/{page}"))
                if len(visits) == REPETITIONS:
                    break
            else:
                sys.exit(f"{page} loaded in time in {len(visits)} of {2 * REPETITIONS} visits; {REPETITIONS} are needed: try again")
            row = {key: statistics.median(visited[key] for visited in visits) for key in visits[0]}
            rows.append({"page": page} | {key: round(value, 2 if "seconds" in key else None) for key, value in row.items()})
        browser.close()
    server.shutdown()
    recording.put(recording.RESULTS / "pages.json", recording.as_json(record | {"pages": rows}))
    for row in rows:
        print(
            "{page:36} {kilobytes:5} kB {seconds:6.2f} s, then at most {longest_task_seconds:.2f} s at a stretch; "
            "with all {data_kilobytes:3} kB of data {complete_seconds:6.2f} s".format(**row)
        )


if __name__ == "__main__":
    recording.run_until_interrupted(main)
