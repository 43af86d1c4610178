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
    const counts = new Map();
    for (const card of cards) for (const word of of(card)) counts.set(word, (counts.get(word) ?? 0) + 1);
    const label = document.createElement("label");
    const select = document.createElement("select");
    select.name = key;
    select.add(new Option("all", ""));
    for (const word of [...counts.keys()].sort()) select.add(new Option(`${word} (${counts.get(word)})`, word));
    select.value = counts.has(chosen.get(key)) ? chosen.get(key) : "";
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
  const show = () => {
    let shown = 0;
    for (const card of cards) {
      card.hidden = kinds.some(([, , of], i) => selects[i].value && !of(card).includes(selects[i].value));
      shown += !card.hidden;
    }
    for (const part of parts) {
      const own = [...part.querySelectorAll(".pags-card")].filter((card) => cards.includes(card));
      part.hidden = part.contains(form) ? false : own.every((card) => card.hidden);
    }
    const all = `${cards.length} ${cards.length === 1 ? "card" : "cards"}`;
    said.textContent = shown === cards.length ? all : shown ? `${shown} of ${all}` : "No card fits this choice.";
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
  // A link from elsewhere to a claim shows it whatever is chosen.
  window.addEventListener("hashchange", () => {
    const card = document.getElementById(location.hash.slice(1));
    if (card?.hidden) {
      form.reset();
      card.scrollIntoView();
    }
  });
  place.append(form);
  show();
});
