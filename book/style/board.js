/* Filters above the scoreboard's cards. Without scripts all cards are there; the choice stays in the page's address. */
document.addEventListener("DOMContentLoaded", () => {
  const place = document.getElementById("pags-filters");
  if (!place) return;
  const cards = [...document.querySelectorAll(".pags-card[data-paper]")];
  const kinds = [
    ["paper", "Paper", (card) => [card.dataset.paper]],
    ["verdict", "Verdict", (card) => [card.dataset.verdict]],
    ["data", "Data", (card) => card.dataset.data.split("|").filter(Boolean)],
    ["again", "Other seeds", (card) => [card.dataset.again].filter(Boolean)],
  ].filter(([, , of]) => cards.some((card) => of(card).length));
  const form = document.createElement("form");
  form.className = "pags-filters";
  form.setAttribute("aria-label", "Choose claims");
  const chosen = new URLSearchParams(location.hash.startsWith("#filter:") ? location.hash.slice(8) : "");
  const selects = kinds.map(([key, title, of]) => {
    const words = [...new Set(cards.flatMap(of))].sort();
    const label = document.createElement("label");
    const select = document.createElement("select");
    select.name = key;
    for (const word of ["", ...words]) select.add(new Option(word || "all", word));
    select.value = words.includes(chosen.get(key)) ? chosen.get(key) : "";
    label.append(title, " ", select);
    form.append(label);
    return select;
  });
  const said = document.createElement("output");
  const reset = document.createElement("button");
  reset.type = "reset";
  reset.textContent = "Show all";
  form.append(reset, said);
  const parts = [...new Set(cards.map((card) => card.closest("section")).filter(Boolean))];
  const fits = (card, i, word) => !word || kinds[i][2](card).includes(word);
  // Behind each word of a filter: how many claims it would show beside what the other filters say.
  const count = (select, i) => {
    const left = cards.filter((card) => selects.every((other, j) => j === i || fits(card, j, other.value)));
    for (const option of select.options) {
      const n = left.filter((card) => fits(card, i, option.value)).length;
      option.textContent = `${option.value || "all"} (${n})`;
      option.disabled = n === 0 && option.value !== "" && !option.selected;
    }
  };
  const show = () => {
    for (const card of cards) card.hidden = !selects.every((select, i) => fits(card, i, select.value));
    selects.forEach(count);
    for (const part of parts) {
      const own = [...part.querySelectorAll(".pags-card")].filter((card) => cards.includes(card));
      part.hidden = part.contains(form) ? false : own.every((card) => card.hidden);
    }
    const shown = cards.filter((card) => !card.hidden).length;
    said.textContent = `${shown} of ${cards.length} ${cards.length === 1 ? "claim" : "claims"} shown`;
  };
  form.addEventListener("change", () => {
    const choice = new URLSearchParams(selects.filter((one) => one.value).map((one) => [one.name, one.value]));
    history.replaceState(null, "", choice.size ? `#filter:${choice}` : location.pathname.split("/").pop());
    show();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => {
    history.replaceState(null, "", location.pathname.split("/").pop());
    setTimeout(show);
  });
  // A link to a claim shows it whatever is chosen, and stays in the address.
  window.addEventListener("hashchange", () => {
    const card = document.getElementById(location.hash.slice(1));
    if (card?.hidden) {
      for (const select of selects) select.value = "";
      show();
      card.scrollIntoView();
    }
  });
  place.append(form);
  show();
});
