/* Whatever is wider than the page scrolls in a box of its own, says so at its edge, and can be reached from the keyboard. */
document.addEventListener("DOMContentLoaded", () => {
  for (const wide of document.querySelectorAll(".bd-article table, .bd-article figure.pags-figure > img")) {
    if (wide.closest(".pags-scroll, .pst-scrollable-table-container")) continue;
    const box = document.createElement("div");
    box.className = "pags-scroll";
    wide.replaceWith(box);
    box.append(wide);
  }

  // pandas leaves the header above its index empty; an empty header cell says nothing to a screen reader.
  for (const header of document.querySelectorAll(".bd-article th")) {
    if (header.textContent.trim() === "") header.replaceWith(document.createElement("td"));
  }

  const names = [["table", "Table"], ["img", "Figure"], ["mjx-container, .math", "Formula"], ["pre", "Code"]];
  const boxes = ".bd-article :is(.pags-scroll, .pst-scrollable-table-container, div.math, pre, .output)";
  const fade = (box) => {
    box.classList.toggle("pags-more", box.scrollLeft + box.clientWidth < box.scrollWidth - 2);
  };
  const mark = () => {
    for (const box of document.querySelectorAll(boxes)) {
      fade(box);
      if (box.scrollWidth <= box.clientWidth + 1 || box.hasAttribute("tabindex")) continue;
      const name = names.find(([inside]) => box.matches(inside) || box.querySelector(inside))?.[1] ?? "Content";
      box.tabIndex = 0;
      box.setAttribute("role", "group");
      box.setAttribute("aria-label", `${box.getAttribute("aria-label") ?? name}, scrolls sideways`);
      box.addEventListener("scroll", () => fade(box), { passive: true });
    }
  };
  mark();
  window.addEventListener("resize", mark);
  window.addEventListener("load", () => (window.MathJax?.startup?.promise ?? Promise.resolve()).then(mark));
});
