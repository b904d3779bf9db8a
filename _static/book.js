// The theme's script chooses between light and dark, and comes after the text, which would change its colours then.
if (document.documentElement.dataset.theme === "auto") {
  document.documentElement.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

// A page that opens at its start is laid out from there, part by part, see .in-parts in book.css. One that opens further down,
// at the place that a link names or where the reader was before, needs to know at once how long everything above is.
if (!location.hash && performance.getEntriesByType("navigation")[0]?.type === "navigate") {
  document.documentElement.classList.add("in-parts");
}
addEventListener("load", async () => {
  const inEachSection = async (action) => {
    for (const section of document.querySelectorAll(".bd-article > section > section")) {
      await new Promise((done) => setTimeout(done));  // what the reader does meanwhile gets its answer in between
      action(section);
    }
  };
  const ask = (part) => part.querySelectorAll("img[loading=lazy]").forEach((picture) => { picture.loading = "eager"; });
  await inEachSection(ask);
  ask(document);  // all pictures: for print, and for a reader whose line will be gone
  await inEachSection((section) => {
    section.classList.add("laid-out");
    section.getBoundingClientRect();  // now, and not all of them before the next frame
  });
});

// What is wider than its place scrolls; let the arrow keys reach it. (The theme's script would do so for all but formulas,
// and lay out each of them by itself, again after each move of a figure: tools/small_pages.py takes that out.)
addEventListener("load", () => {
  const mark = new ResizeObserver((entries) => {
    const wide = entries.map(({ target }) => target.scrollWidth > target.clientWidth);
    entries.forEach(({ target }, i) => {
      if (wide[i]) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    });
  });
  const boxes = document.querySelectorAll("pre, .cell_output > .output, .pst-scrollable-table-container, .katex-display");
  for (const box of boxes) {
    if (box.closest("details:not([open])")) box.tabIndex = 0;  // has no width until it is unfolded
    mark.observe(box);
  }
});

// Whoever has chosen a section in the contents that lie over the page on a phone wants to read it.
addEventListener("click", ({ target }) => {
  const link = target.closest('dialog[open] a[href^="#"]');
  const section = link && document.getElementById(decodeURIComponent(link.hash.slice(1)));
  if (!section) return;
  const contents = link.closest("dialog");
  // Once the focus has gone back to the button that opened them, which scrolls, too.
  contents.addEventListener("close", () => section.scrollIntoView(), { once: true });
  contents.close();
});

// What the theme adds, 30 kB, waits for what figures compute with: tools/small_pages.py marks its scripts.
addEventListener("DOMContentLoaded", () => {
  for (const { src } of document.querySelectorAll("script[type=theme]")) {
    document.body.append(Object.assign(document.createElement("script"), { src, async: false }));  // one after the other
  }
});

// The buttons that open the two side bars: the theme listens to the first of each kind alone, which its style sheet hides.
addEventListener("DOMContentLoaded", () => {
  for (const side of ["primary", "secondary"]) {
    const [heard, ...others] = document.querySelectorAll(`.${side}-toggle`);
    for (const button of others) button.addEventListener("click", () => heard.click());
  }
});
