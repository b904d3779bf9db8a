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
