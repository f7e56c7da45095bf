// Which items a state asks for, in which order: places in the columns, found without touching the page.
"use strict";

(function (browser) {
  const orders = new Map();

  browser.cellsInView = function (state) {
    return browser.run.cells.filter((cell) => cell.isThere &&
      (!state.source_family || cell.source.family === state.source_family) &&
      (!state.target_family || cell.target.family === state.target_family));
  };

  browser.sourcesInView = function (state) {
    return browser.run.pairs.filter((pair) => pair.writes &&
      (!state.source_family || pair.family === state.source_family));
  };

  browser.scoreValues = function (state) {
    const cell = browser.run.cellsByName.get(state.score);
    return cell ? cell.values : browser.run[state.score];
  };

  function sortValues(state) {
    if (!state.sort.startsWith("norm:")) return browser.scoreValues(state);
    const pair = browser.run.pairs.findIndex((known) => `norm:${known.id}` === state.sort);
    return pair < 0 ? browser.scoreValues(state) : browser.run.norms[pair];
  }

  // Sorting is the dearest step, so each order is made once: filters only leave places out.
  function order(state) {
    const key = `${state.sort}|${state.order}|${state.sort ? "" : state.score}`;
    if (!orders.has(key)) orders.set(key, sorted(state));
    return orders.get(key);
  }

  function sorted(state) {
    const places = Array.from(browser.run.ids.keys());
    const sign = state.order === "low" ? 1 : -1;
    if (state.sort === "item") return state.order === "low" ? places : places.reverse();
    const values = sortValues(state);
    const known = places.filter((place) => !Number.isNaN(values[place]));
    const unknown = places.filter((place) => Number.isNaN(values[place]));
    const ranked = Uint32Array.from(known).sort((a, b) => sign * (values[a] - values[b]) || a - b);
    return [...ranked, ...unknown];
  }

  function bound(text, otherwise) {
    const value = Number(text.trim().replace("\u2212", "-").replace(",", "."));
    return text.trim() === "" || Number.isNaN(value) ? otherwise : value * browser.run.score_scale;
  }

  function rangeTest(state) {
    const low = bound(state.low, -Infinity);
    const high = bound(state.high, Infinity);
    if (low === -Infinity && high === Infinity) return null;
    const within = (value) => value >= low && value <= high;
    const columns = state.range === "any"
      ? browser.cellsInView(state).map((cell) => cell.values)
      : [browser.scoreValues(state)];
    return (place) => columns.some((values) => within(values[place]));
  }

  function cleanTest(state) {
    if (!state.clean) return null;
    // A text that no model wrote is neither clean nor not.
    const inView = new Set(browser.sourcesInView(state).filter((pair) => pair.block !== null));
    const columns = browser.run.states.filter((_, pair) => inView.has(browser.run.pairs[pair]));
    if (state.clean === "y") return (place) => columns.every((states) => browser.isClean(states[place]));
    if (state.clean === "n") return (place) => columns.some((states) => browser.isUnclean(states[place]));
    // Any other choice is the letter of what is odd about an answer.
    return (place) => columns.some((states) => states[place] === state.clean);
  }

  // A sign of some source in view, or after `~` of one source.
  function signTest(state) {
    if (!state.sign) return null;
    const [sign, source] = state.sign.split(/~(.*)/);
    const wanted = source === undefined ? browser.sourcesInView(state) : browser.run.pairs.filter((pair) => pair.id === source);
    const columns = wanted.map((pair) => browser.run.signs.get(sign)?.[browser.run.pairs.indexOf(pair)] ?? new Set());
    return (place) => columns.some((places) => places.has(place));
  }

  function tests(state, hits) {
    const found = [rangeTest(state), cleanTest(state), signTest(state)];
    if (state.stratum) {
      const wanted = new Set(state.stratum.split(","));
      const allowed = browser.run.strata.map((name) => wanted.has(name));
      found.push((place) => allowed[browser.run.stratum[place]]);
    }
    for (const [name, value] of browser.askedTags(state)) {
      const tag = browser.run.tags.find((known) => known.name === name);
      const wanted = tag ? tag.values.indexOf(value) : -1;
      // Of a tag or a value that the run does not know, no item.
      found.push((place) => wanted >= 0 && tag.column[place] === wanted);
    }
    if (state.outlier) found.push((place) => browser.run.outlier[place] === state.outlier);
    if (hits) found.push((place) => hits[place] === 1);
    return found.filter((test) => test !== null);
  }

  // `hits` are what a search left: one byte per item, or null.
  browser.results = function (state, hits) {
    const wanted = tests(state, hits);
    if (wanted.length === 0) return order(state);
    return order(state).filter((place) => wanted.every((test) => test(place)));
  };
})(window.nlaBrowser);
