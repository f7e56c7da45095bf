// The list of items found: a part of it at a time, so that 50,000 cost no more than 50.
"use strict";

(function (browser) {
  const ROWS = 50;
  const list = document.getElementById("found-list");
  const make = browser.element;

  function row(place, state, values, isDiagonal) {
    const run = browser.run;
    const facts = run.given ? [`item ${run.ids[place]}`] : [`item ${run.ids[place]}`, run.strata[run.stratum[place]]];
    if (run.outlier[place] === "y") facts.push("outlier");
    if (run.states.some((states) => browser.isUnclean(states[place]))) facts.push("not all clean");
    const token = run.tokens[run.marked[place]];
    const link = make("a", { href: browser.href(place), className: "row" },
      make("span", { className: "tail" }, run.tail[place], token === "" ? null : make("mark", {}, token)),
      make("span", { className: `score ${scoreClass(state, isDiagonal, values[place])}` }, browser.signed(values[place])),
      make("span", { className: "facts" }, facts.join(" · ") + normFact(place, state)));
    link.dataset.place = place;
    return make("li", {}, link);
  }

  // A mean or a gap belongs to neither role, so it has no hue.
  function scoreClass(state, isDiagonal, value) {
    return browser.run.cellsByName.has(state.score) ? browser.heat(isDiagonal, value) : "plain";
  }

  function normFact(place, state) {
    const pair = browser.run.pairs.findIndex((known) => `norm:${known.id}` === state.sort);
    return pair < 0 ? "" : ` · norm ${browser.count(browser.run.norms[pair][place])}`;
  }

  browser.partOf = function (state, results, chosen) {
    const parts = Math.max(1, Math.ceil(results.length / ROWS));
    const wanted = state.part === "" ? Math.floor(Math.max(0, results.indexOf(chosen)) / ROWS) + 1 : Number(state.part);
    return Math.min(parts, Math.max(1, Math.trunc(wanted) || 1));
  };

  browser.firstInPart = (state, results) => (state.part === "" ? 0 : (browser.partOf(state, results, null) - 1) * ROWS);

  browser.showList = function (state, results, part) {
    const first = (part - 1) * ROWS;
    const shown = results.slice(first, first + ROWS);
    const cell = browser.run.cellsByName.get(state.score);
    const values = browser.scoreValues(state);
    list.replaceChildren(...shown.map((place) => row(place, state, values, cell && cell.row === cell.column)));
    list.start = first + 1;
    const last = first + shown.length;
    document.getElementById("list-place").textContent =
      results.length === 0 ? "" : `${browser.count(first + 1)}–${browser.count(last)}`;
    document.getElementById("list-earlier").disabled = part === 1;
    document.getElementById("list-later").disabled = last >= results.length;
    list.scrollTop = 0;
  };

  browser.markRow = function (chosen) {
    for (const link of list.querySelectorAll(".row")) {
      const isChosen = Number(link.dataset.place) === chosen;
      if (isChosen) {
        link.setAttribute("aria-current", "true");
        keepInView(link);
      } else {
        link.removeAttribute("aria-current");
      }
    }
  };

  // Only the list itself is moved: the page stays where the reader put it.
  function keepInView(link) {
    const box = list.getBoundingClientRect();
    const own = link.getBoundingClientRect();
    if (own.top < box.top) list.scrollTop -= box.top - own.top;
    else if (own.bottom > box.bottom) list.scrollTop += own.bottom - box.bottom;
  }

  browser.listenToList = function (choose, turn) {
    list.addEventListener("click", (event) => {
      const link = event.target.closest(".row");
      // Enter on a link opens the item's page, as does any click that asks for another tab.
      const plain = event.detail > 0 && event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey);
      if (!link || !plain) return;
      event.preventDefault();
      choose(Number(link.dataset.place));
    });
    document.getElementById("list-earlier").addEventListener("click", () => turn(-1));
    document.getElementById("list-later").addEventListener("click", () => turn(1));
  };
})(window.nlaBrowser);
