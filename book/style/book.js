/* Whatever scrolls sideways must be reachable from the keyboard; a table gets a box to scroll in. */
document.addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll(".bd-article table")) {
    if (table.closest(".pags-scroll, .pst-scrollable-table-container")) continue;
    const box = document.createElement("div");
    box.className = "pags-scroll";
    table.replaceWith(box);
    box.append(table);
  }
  // pandas leaves the header above its index empty; an empty header cell says nothing to a screen reader.
  for (const header of document.querySelectorAll(".bd-article th")) {
    if (header.textContent.trim() === "") {
      const cell = document.createElement("td");
      header.replaceWith(cell);
    }
  }
  const names = [["table", "Table"], ["mjx-container", "Formula"], [".math", "Formula"], ["img", "Figure"], ["pre", "Code"]];
  const boxes = ".pags-scroll, .pst-scrollable-table-container, .pags-figure, div.math, .bd-article pre";
  const mark = () => {
    for (const box of document.querySelectorAll(boxes)) {
      const wide = box.scrollWidth > box.clientWidth + 1;
      if (wide && !box.hasAttribute("tabindex")) {
        const [, name] = names.find(([inside]) => box.matches(inside) || box.querySelector(inside)) ?? [, "Content"];
        box.tabIndex = 0;
        box.setAttribute("aria-label", `${name}, scrolls sideways`);
        if (box.tagName !== "FIGURE") box.setAttribute("role", "group");
      }
    }
  };
  mark();
  window.addEventListener("resize", mark);
  window.addEventListener("load", () => (window.MathJax?.startup?.promise ?? Promise.resolve()).then(mark));
});
