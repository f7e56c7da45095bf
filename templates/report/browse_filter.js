// Which items a state asks for, in which order: places in the columns, found without touching the page.
"use strict";

(function (browser) {
  const orders = new Map();
  let haystacks = null;
  let lastSearch = { key: "", hits: null, fault: "" };

  browser.cellsInView = function (state) {
    return browser.run.cells.filter((cell) =>
      (!state.source_family || cell.source.family === state.source_family) &&
      (!state.target_family || cell.target.family === state.target_family));
  };

  browser.sourcesInView = function (state) {
    return browser.run.pairs.filter((pair) => !state.source_family || pair.family === state.source_family);
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
    const inView = new Set(browser.sourcesInView(state));
    const columns = browser.run.states.filter((_, pair) => inView.has(browser.run.pairs[pair]));
    if (state.clean === "y") return (place) => columns.every((states) => states[place] === "c");
    return (place) => columns.some((states) => states[place] !== "c" && states[place] !== "-");
  }

  function tests(state, hits) {
    const found = [rangeTest(state), cleanTest(state)];
    if (state.stratum) {
      const wanted = new Set(state.stratum.split(","));
      const allowed = browser.run.strata.map((name) => wanted.has(name));
      found.push((place) => allowed[browser.run.stratum[place]]);
    }
    if (state.outlier) found.push((place) => browser.run.outlier[place] === state.outlier);
    if (hits) found.push((place) => hits[place] === 1);
    return found.filter((test) => test !== null);
  }

  browser.results = function (state) {
    const wanted = tests(state, search(state));
    if (wanted.length === 0) return order(state);
    return order(state).filter((place) => wanted.every((test) => test(place)));
  };

  browser.needsTexts = (state) => state.query !== "" && haystacks === null;

  // Once every text is there: what is searched, kept in lower case beside what is matched by expressions.
  browser.gatherTexts = function () {
    const empty = () => new Array(browser.run.ids.length).fill("");
    haystacks = { context: empty(), explanation: empty(), lowContext: empty(), lowExplanation: empty() };
    for (const [place, { context, texts, answers }] of browser.everyText()) {
      haystacks.context[place] = context === null ? "" : context.join("");
      haystacks.explanation[place] = texts.map((text, pair) => text ?? answers[pair] ?? "").join("\n");
      haystacks.lowContext[place] = haystacks.context[place].toLowerCase();
      haystacks.lowExplanation[place] = haystacks.explanation[place].toLowerCase();
    }
  };

  // The expression of a query, or why it is none.
  browser.expression = function (state) {
    const source = state.regex ? state.query : state.query.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    try {
      return { expression: new RegExp(source, "i"), fault: "" };
    } catch (error) {
      return { expression: null, fault: error.message };
    }
  };

  browser.searchFault = () => lastSearch.fault;

  // One byte per item, 1 where it matches; null when nothing is searched or the expression is bad.
  function search(state) {
    const key = JSON.stringify([state.query, state.regex, state.place]);
    if (lastSearch.key === key && haystacks !== null) return lastSearch.hits;
    lastSearch = { key, hits: null, fault: "" };
    if (state.query === "") return null;
    const { expression, fault } = browser.expression(state);
    lastSearch.fault = fault;
    if (fault || haystacks === null) return null;
    lastSearch.hits = state.regex ? scanned(state, (text) => expression.test(text), false)
      : scanned(state, includes(state.query.toLowerCase()), true);
    return lastSearch.hits;
  }

  function includes(needle) {
    return (text) => text.includes(needle);
  }

  function scanned(state, matches, low) {
    const contexts = low ? haystacks.lowContext : haystacks.context;
    const explanations = low ? haystacks.lowExplanation : haystacks.explanation;
    const columns = state.place === "context" ? [contexts]
      : state.place === "explanation" ? [explanations] : [contexts, explanations];
    const hits = new Uint8Array(browser.run.ids.length);
    for (const texts of columns) {
      for (let place = 0; place < texts.length; place += 1) if (!hits[place] && matches(texts[place])) hits[place] = 1;
    }
    return hits;
  }
})(window.nlaBrowser);
