// A page that opens at its start is laid out from there, see .loading in book.css. One that opens further down, at the place
// that a link names or where the reader was before, needs to know at once how long everything above is.
if (!location.hash && performance.getEntriesByType("navigation")[0]?.type === "navigate") {
  document.documentElement.classList.add("loading");
}
addEventListener("load", () => {
  document.documentElement.classList.remove("loading");
  for (const picture of document.querySelectorAll("img[loading=lazy]")) picture.loading = "eager";  // for print, too
});

// A formula wider than the window scrolls; let the arrow keys reach it. (The theme does the same for code and tables.)
addEventListener("load", () => {
  const mark = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  });
  document.querySelectorAll(".katex-display").forEach((formula) => mark.observe(formula));
});

// The buttons that open the two side bars: the theme listens to the first of each kind alone, which its style sheet hides.
addEventListener("DOMContentLoaded", () => {
  for (const side of ["primary", "secondary"]) {
    const [heard, ...others] = document.querySelectorAll(`.${side}-toggle`);
    for (const button of others) button.addEventListener("click", () => heard.click());
  }
});
