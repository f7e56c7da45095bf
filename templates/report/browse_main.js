// Brings the parts together: a state leads to results, results to a list and a chosen item, keys and clicks to a state.
"use strict";

(function (browser) {
  const count = document.getElementById("found-count");
  const progress = document.getElementById("progress");
  const help = document.getElementById("help");
  const keysOn = document.getElementById("keys-on");
  const isNarrow = matchMedia("(max-width: 60rem)");
  const shown = { list: "", search: 0, part: 0 };
  const PAUSE_MS = 300;
  let results = [];
  let chosen = null;
  let pause = 0;

  // What the list depends on beside the search: moving to another item leaves it as it is.
  const listKey = (state, search) =>
    JSON.stringify({ ...state, item: "", sources: "", keys: "", part: "", query: "", regex: "", place: "", search });

  function show(state) {
    browser.showControls(state);
    keysOn.checked = state.keys !== "off";
    const started = performance.now();
    const search = browser.search(state, showReading, () => show(browser.state()));
    showProgress(search);
    if (search.isWaiting && shown.list === "") {
      count.textContent = "Reading and searching all texts";
      return;
    }
    const isNew = listKey(state, search.number) !== shown.list;
    if (isNew) results = browser.results(state, search.hits);
    chosen = chosenIn(state);
    showList(state, isNew);
    // How long the reader's wish took to become the list; painting comes after.
    if (search.hits && search.number !== shown.search) performance.measure("search", { start: search.askedAt });
    else if (isNew) performance.measure("filter", { start: started });
    Object.assign(shown, { list: listKey(state, search.number), search: search.number });
    browser.markRow(chosen);
    browser.showFault(search.fault);
    browser.showDetail(chosen, state, results.includes(chosen));
  }

  function showReading(done, total) {
    progress.textContent = `${browser.count(done)} of ${browser.count(total)} files of texts read`;
  }

  // Most searches are over before a reader could read that they go on.
  function showProgress(search) {
    clearTimeout(pause);
    if (search.isWaiting) {
      pause = setTimeout(() => { progress.textContent = "Searching"; }, PAUSE_MS);
      return;
    }
    const lost = search.hits ? browser.lostShards() : 0;
    progress.textContent = lost ? `Texts that could not be read, and are not searched: ${browser.count(lost)} of ${browser.count(browser.run.shards.length)} files.` : "";
  }

  function chosenIn(state) {
    const asked = state.item === "" ? undefined : browser.run.placeOfId.get(Number(state.item));
    return asked ?? results[browser.firstInPart(state, results)] ?? null;
  }

  function showList(state, isNew) {
    const part = browser.partOf(state, results, chosen);
    if (isNew) {
      const total = browser.run.ids.length;
      count.textContent = results.length === total ? itemCount(total) : `${browser.count(results.length)} of ${itemCount(total)}`;
    }
    if (isNew || part !== shown.part) browser.showList(state, results, part);
    shown.part = part;
  }

  const itemCount = (total) => `${browser.count(total)} ${total === 1 ? "item" : "items"}`;

  function choose(place, step) {
    browser.change({ item: String(browser.run.ids[place]), part: "" }, step);
  }

  function move(step) {
    const here = results.indexOf(chosen);
    const there = results[Math.max(0, here + step)];
    if (there === undefined) return;
    const wasInList = document.activeElement.classList.contains("row");
    choose(there, false);
    if (wasInList) document.querySelector(".row[aria-current]").focus({ preventScroll: true });
  }

  function turn(step) {
    browser.change({ part: String(shown.part + step), item: "" }, true);
  }

  const KEYS = {
    j: () => move(1),
    k: () => move(-1),
    "/": () => document.getElementById("query").focus(),
    "?": () => help.showModal(),
    Enter: () => {
      if (chosen !== null) location.href = browser.href(chosen);
    },
  };

  function onKey(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    const target = event.target;
    if (target.matches("select, input:not([type=checkbox])")) {
      if (event.key === "Escape") target.blur();
      return;
    }
    const isControl = target.matches("a, button, summary, input");
    if (!(event.key in KEYS) || (event.key === "Enter" ? isControl : browser.state().keys === "off")) return;
    event.preventDefault();
    KEYS[event.key]();
  }

  function start() {
    document.querySelector(".no-script").remove();
    document.querySelector(".browser").hidden = false;
    browser.listenToControls();
    browser.listenToList((place) => {
      choose(place, true);
      if (isNarrow.matches) document.getElementById("chosen").scrollIntoView();
    }, turn);
    browser.listenToDetail((cell) => browser.change({ score: cell, part: "" }, true), (sources) => browser.change({ sources }, true));
    browser.repeatDetail = (item) => item === chosen && browser.showDetail(chosen, browser.state(), results.includes(chosen));
    document.getElementById("help-button").addEventListener("click", () => help.showModal());
    document.getElementById("clear").addEventListener("click", () => browser.change(browser.cleared(), true));
    keysOn.addEventListener("change", () => browser.change({ keys: keysOn.checked ? "" : "off" }, false));
    document.addEventListener("keydown", onKey);
    browser.followAddress(show);
    show(browser.state());
  }

  // Without the data there is nothing to browse; the sentence about the static pages stays.
  if (browser.run !== null) start();
})(window.nlaBrowser);
