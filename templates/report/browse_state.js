// Everything a reader has chosen, and the address that holds it: reading one gives the other.
"use strict";

(function (browser) {
  // `cell` in the address is a score of its own, so that a report's link need not know more than the cell.
  const DEFAULTS = {
    score: "mean", sort: "", order: "", low: "", high: "", range: "", source_family: "", target_family: "",
    stratum: "", tags: "", outlier: "", clean: "", sign: "", query: "", place: "", regex: "", sources: "", item: "", part: "", keys: "",
  };

  function read() {
    const given = new URLSearchParams(location.hash.slice(1));
    const state = {};
    for (const name of Object.keys(DEFAULTS)) state[name] = given.get(name) ?? DEFAULTS[name];
    const cell = given.get("cell");
    if (cell !== null) state.score = cell;
    if (state.score !== "gap" && !browser.run.cellsByName.has(state.score)) state.score = "mean";
    return state;
  }

  function written(state) {
    const parts = [];
    for (const [name, value] of Object.entries(state)) {
      if (value === DEFAULTS[name]) continue;
      const key = name === "score" && browser.run.cellsByName.has(value) ? "cell" : name;
      parts.push(`${key}=${encodeURIComponent(value)}`);
    }
    return `#${parts.join("&")}`;
  }

  // What is asked of tags is a query in the query: names and values may hold any character.
  browser.askedTags = (state) => new URLSearchParams(state.tags);

  let current = null;
  let heard = null;

  browser.state = () => current;

  // How one works is not part of what one looks at.
  browser.cleared = () => ({ ...DEFAULTS, keys: current.keys });

  // `step` says whether going back should return to what was before: a choice is a step, a letter typed is not.
  browser.change = function (changes, step) {
    const next = { ...current, ...changes };
    const address = written(next);
    if (address === written(current)) return;
    current = next;
    if (step) location.hash = address;
    else location.replace(address);
    heard(current);
  };

  browser.followAddress = function (whenChanged) {
    heard = whenChanged;
    current = read();
    window.addEventListener("hashchange", () => {
      const next = read();
      if (written(next) === written(current)) return;
      current = next;
      heard(current);
    });
  };
})(window.nlaBrowser);
