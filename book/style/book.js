/* Whatever is wider than the page scrolls in a box of its own, says so at its edge, and can be reached from the keyboard. */
document.addEventListener("DOMContentLoaded", () => {
  for (const wide of document.querySelectorAll(".bd-article table, .bd-article figure.pags-figure > img")) {
    if (wide.closest(".pags-scroll, .pst-scrollable-table-container")) continue;
    const box = document.createElement("div");
    box.className = "pags-scroll";
    wide.replaceWith(box);
    box.append(wide);
  }

  // The theme takes the focus from these buttons when they are pressed. From a mouse it may: its hint would stay. Who
  // goes by keyboard goes on from there, and comes back to it from what it has opened.
  for (const button of document.querySelectorAll(":is(.theme-switch-button, .search-button, .sidebar-toggle)")) {
    button.blur = () => button.matches(":focus-visible") || HTMLElement.prototype.blur.call(button);
  }

  // The button that opens a solution or a hint is named after it; it is made by another script, as late as this one.
  window.addEventListener("load", () => {
    for (const button of document.querySelectorAll(".bd-article .admonition-title > .toggle-button")) {
      const title = button.parentElement.textContent.trim().replace(/\s+/g, " ");
      button.setAttribute("aria-label", `Show or hide: ${title}`);
    }
  });

  // On paper nobody opens a fold: those of the text, a proof say, are printed open; code and solutions stay out (book.css).
  const opened = new Set();
  window.addEventListener("beforeprint", () => {
    for (const fold of document.querySelectorAll(".bd-article details.sd-dropdown:not([open])")) {
      fold.open = true;
      opened.add(fold);
    }
  });
  window.addEventListener("afterprint", () => {
    for (const fold of opened) fold.open = false;
    opened.clear();
  });

  // pandas leaves the header above its index empty; an empty header cell says nothing to a screen reader.
  for (const header of document.querySelectorAll(".bd-article th")) {
    if (header.textContent.trim() === "") header.replaceWith(document.createElement("td"));
  }

  const names = [["table", "Table"], ["img", "Figure"], ["mjx-container, .math", "Formula"], ["pre", "Code"]];
  const boxes = ".bd-article :is(.pags-scroll, .pst-scrollable-table-container, div.math, pre, .output)";
  // Above figures and tables a line says it, too: what a panel's gap hides shows no faded edge. The box's own name says it
  // to screen readers, so they leave the line out. At the right end it keeps its place, so that nothing jumps.
  const lines = new Map();
  const line = (box) => {
    if (!lines.has(box)) {
      const said = document.createElement("p");
      said.className = "pags-swipe";
      said.setAttribute("aria-hidden", "true");
      said.textContent = `${matchMedia("(pointer: coarse)").matches ? "Swipe" : "Scroll"} sideways to see the rest \u2192`;
      box.before(said);
      lines.set(box, said);
    }
    return lines.get(box);
  };
  const tell = (box) => {
    const wide = box.scrollWidth > box.clientWidth + 2;
    const more = box.scrollLeft + box.clientWidth < box.scrollWidth - 2;
    box.classList.toggle("pags-more", more);
    if (!lines.has(box) && !(wide && box.matches(".pags-scroll, .pst-scrollable-table-container"))) return;
    line(box).hidden = !wide;
    line(box).style.visibility = more ? "" : "hidden";
  };
  const mark = () => {
    for (const box of document.querySelectorAll(boxes)) {
      tell(box);
      if (box.scrollWidth <= box.clientWidth + 1 || box.hasAttribute("tabindex")) continue;
      const name = names.find(([inside]) => box.matches(inside) || box.querySelector(inside))?.[1] ?? "Content";
      box.tabIndex = 0;
      box.setAttribute("role", "group");
      box.setAttribute("aria-label", `${box.getAttribute("aria-label") ?? name}, scrolls sideways`);
      box.addEventListener("scroll", () => tell(box), { passive: true });
    }
  };
  mark();
  window.addEventListener("resize", mark);
  document.addEventListener("toggle", mark, true); // what a fold has hidden
  window.addEventListener("load", () => (window.MathJax?.startup?.promise ?? Promise.resolve()).then(mark));
});
