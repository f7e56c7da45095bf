// The chosen item in full: its context, the sources' explanations side by side, its scores in every cell in view.
"use strict";

(function (browser) {
  const pane = document.getElementById("chosen");
  const make = browser.element;

  // The text with what the search found marked in it.
  function withHits(text, places) {
    const parts = [];
    let end = 0;
    for (const [from, to] of places) {
      parts.push(text.slice(end, from), make("mark", { className: "hit" }, text.slice(from, to)));
      end = to;
    }
    return [...parts, text.slice(end)];
  }

  // What is shown of an item and can be searched, the context first, then an explanation or answer for every pair.
  function searchedTexts(texts) {
    return [texts.context === null ? "" : texts.context[0], ...texts.texts.map((text, row) => text ?? texts.answers[row] ?? "")];
  }

  // Where the search found something in each of them.
  function marksOf(item, texts, state) {
    const found = texts ? browser.marks(state, item, searchedTexts(texts), () => browser.repeatDetail(item)) : { places: null, fault: "" };
    const isSearched = (part) => state.place === "" || (state.place === "context") === (part === 0);
    return { in: (part) => (found.places && isSearched(part) ? found.places[part] : []), fault: found.fault };
  }

  function contextOf(texts, places) {
    if (texts === undefined) return make("p", { className: "absent" }, "Reading the texts of this item");
    if (texts === null) return make("p", { className: "absent" }, "The file with this item's texts could not be read.");
    if (texts.context === null && browser.run.given) return make("p", { className: "absent" }, "A given vector: no text.");
    if (texts.context === null) return make("p", { className: "absent" }, "The run file does not hold this item's text.");
    const [before, token] = texts.context;
    return make("blockquote", { className: "context" }, make("p", {},
      make("span", { className: "quiet", ariaHidden: "true" }, "…"),
      ...withHits(before, places), token === "" ? null : make("mark", {}, token)));
  }

  function scoreOf(row, column, item) {
    return browser.run.cells[row * browser.run.pairs.length + column].values[item];
  }

  function chosenScore(row, item, state) {
    const cell = browser.run.cellsByName.get(state.score);
    if (!cell || cell.column === row) return null;
    const isShown = cell.row === row;
    return make("span", { className: isShown ? "to shown" : "to" }, `→ ${cell.target.label} `,
      make("b", {}, browser.signed(scoreOf(row, cell.column, item))));
  }

  function explanation(pair, item, texts, state, marks) {
    const row = browser.run.pairs.indexOf(pair);
    const title = make("h3", { className: "source" },
      make("span", {}, `${pair.label} `,
        make("span", { className: "block" }, pair.block === null ? "text" : `block ${pair.block}`)),
      make("span", { className: "own" }, ...(pair.reads ? ["own AR ", make("b", {}, browser.signed(scoreOf(row, row, item)))] : []),
        chosenScore(row, item, state)));
    const box = make("section", { className: "explanation" }, title);
    if (texts && texts.texts[row] !== null) {
      box.append(make("p", {}, ...withHits(texts.texts[row], marks.in(row + 1))));
    } else if (texts && texts.answers[row] !== null) {
      box.append(make("p", { className: "absent" }, "It holds no explanation; the whole answer reads:"),
        make("p", {}, ...withHits(texts.answers[row], marks.in(row + 1))));
    } else if (texts) {
      box.append(make("p", { className: "absent" }, "The run holds no text."));
    }
    const note = browser.run.answer_notes[browser.run.states[row][item]];
    if (note !== undefined) box.append(make("p", { className: "note" }, note));
    const signs = [...browser.run.signs].filter(([, columns]) => columns[row].has(item)).map(([sign]) => browser.run.sign_words[sign]);
    if (signs.length > 0) box.append(make("p", { className: "note" }, `Signs: ${signs.join("; ")}.`));
    return box;
  }

  function comparedSources(state) {
    const inView = browser.sourcesInView(state);
    const wanted = state.sources.split(",");
    const compared = inView.filter((pair) => state.sources === "" || wanted.includes(pair.id));
    return compared.length ? compared : inView;
  }

  function compareBoxes(state) {
    const inView = browser.sourcesInView(state);
    const compared = comparedSources(state);
    const boxes = inView.map((pair) => make("label", { className: "tick" },
      make("input", { type: "checkbox", name: "compare", value: pair.id, checked: compared.includes(pair) }), ` ${pair.label}`));
    return inView.length < 2 ? null
      : make("fieldset", { className: "ticks compare" }, make("legend", {}, "Sources side by side"), ...boxes);
  }

  function matrix(item, state) {
    const cells = browser.cellsInView(state);
    const columns = [...new Set(cells.map((cell) => cell.target))];
    const head = make("tr", {}, make("th", { scope: "col", className: "corner" }, "AV\u00a0↓ AR\u00a0→"),
      ...columns.map((pair) => make("th", { scope: "col" }, pair.label)));
    const rows = [...new Set(cells.map((cell) => cell.source))].map((source) => make("tr", {},
      make("th", { scope: "row" }, source.label),
      ...cells.filter((cell) => cell.source === source).map((cell) => matrixCell(cell, item, state))));
    const table = make("table", { className: "heat small" },
      make("caption", {}, "fve_nrm in every cell in view. Rows write, columns read. A click shows that cell in the list."),
      make("thead", {}, head), make("tbody", {}, ...rows));
    return make("div", { className: "wide", role: "region", ariaLabel: "Scores of this item", tabIndex: 0 }, table);
  }

  function matrixCell(cell, item, state) {
    const isShown = cell.name === state.score;
    const button = make("button", { type: "button", value: cell.name, ariaPressed: String(isShown),
      ariaLabel: `${cell.source.label} to ${cell.target.label}: ${browser.signed(cell.values[item])}` },
    browser.signed(cell.values[item]));
    const className = browser.heat(cell.row === cell.column, cell.values[item]) + (isShown ? " shown" : "");
    return make("td", { className }, button);
  }

  function places(item) {
    const norm = (pair) => browser.run.norms[browser.run.pairs.indexOf(pair)][item];
    const read = browser.run.pairs.filter((pair) => pair.block !== null);
    const rows = read.map((pair) => make("tr", {}, make("th", { scope: "row" }, pair.label),
      make("td", { className: "num" }, browser.count(norm(pair)))));
    return make("table", { className: "places" }, make("caption", {}, "Norm of the activation."),
      make("tbody", {}, ...rows));
  }

  function facts(item, texts) {
    const run = browser.run;
    const said = run.tokens[run.token[item]];
    const token = make("span", {}, run.given ? "label " : "token ", make("code", {}, said));
    const found = [texts ? make("span", {}, texts.document) : null, run.given && !said ? null : token,
      run.given ? null : make("span", {}, run.strata[run.stratum[item]]),
      run.outlier[item] === "y" ? make("span", {}, "flagged as an outlier") : null,
      ...run.tags.filter((tag) => tag.column[item] >= 0).map((tag) =>
        make("span", {}, make("bdi", {}, tag.name), ": ", make("bdi", {}, tag.values[tag.column[item]])))];
    // The rule between two facts stands in the style sheet; the space is for those who copy them.
    return make("p", { className: "meta" }, ...found.filter((fact) => fact !== null).flatMap((fact) => [fact, " "]));
  }

  browser.showDetail = function (item, state, isFound) {
    if (item === null) {
      pane.replaceChildren(make("p", { className: "absent" }, "No item passes these filters."));
      return;
    }
    const texts = browser.textsOf(item, () => browser.repeatDetail(item));
    const sources = comparedSources(state);
    const marks = marksOf(item, texts, state);
    const focused = pane.contains(document.activeElement) ? document.activeElement.value : undefined;
    pane.replaceChildren(...[
      make("header", {}, make("h2", {}, `Item ${browser.run.ids[item]}`),
        make("a", { href: browser.href(item), id: "open-item" }, "Open item page")),
      isFound ? null : make("p", { className: "note" }, "This item does not pass the filters."),
      marks.fault === "" ? null : make("p", { className: "note" }, marks.fault),
      contextOf(texts, marks.in(0)), facts(item, texts), compareBoxes(state),
      make("div", { className: `explanations of-${Math.min(4, sources.length)}` },
        ...sources.map((pair) => explanation(pair, item, texts, state, marks))),
      make("div", { className: "measures" }, matrix(item, state), places(item)),
      ...(texts ? texts.reasons : []).map((reason) => make("p", { className: "note" }, `Unscored: ${reason}.`)),
    ].filter((part) => part !== null));
    // The control a reader used is rebuilt, and must not take the keyboard's place away with it.
    if (focused) Array.from(pane.querySelectorAll("button, input")).find((control) => control.value === focused)?.focus();
  };

  browser.listenToDetail = function (showCell, compare) {
    pane.addEventListener("click", (event) => {
      const button = event.target.closest("td button");
      if (button) showCell(button.value);
    });
    pane.addEventListener("change", () => {
      const boxes = Array.from(pane.querySelectorAll("[name=compare]"));
      const checked = boxes.filter((box) => box.checked).map((box) => box.value);
      compare(checked.length === boxes.length ? "" : checked.join(","));
    });
  };
})(window.nlaBrowser);
