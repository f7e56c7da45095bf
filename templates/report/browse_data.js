// What the run's items are: columns that the data script hands over, and how their figures are written.
"use strict";

window.nlaBrowser = (function () {
  const browser = { run: null };
  const MINUS = "\u2212";
  const THIN = "\u202f";
  const [MOST_SCORED, MOST_COUNTED, MOST_WRITTEN] = [1e6, 1e15, 1e300];

  // NaN stands for what is not known: every comparison with it is false, so no filter lets it pass by accident.
  function numbers(column) {
    return Float64Array.from(column, (value) => (value === null ? NaN : value));
  }

  browser.items = function (content) {
    const cells = [];
    content.pairs.forEach((source, row) => {
      content.pairs.forEach((target, column) => {
        const values = numbers(content.scores[row * content.pairs.length + column]);
        const name = content.cells[row * content.pairs.length + column];
        cells.push({ name, source, target, row, column, values, isThere: source.writes && target.reads });
      });
    });
    browser.run = {
      ...content,
      cells,
      cellsByName: new Map(cells.map((cell) => [cell.name, cell])),
      placeOfId: new Map(content.ids.map((id, place) => [id, place])),
      mean: numbers(content.mean),
      gap: numbers(content.gap),
      norms: content.norms.map(numbers),
      signs: new Map(Object.entries(content.signs).map(([sign, columns]) => [sign, columns.map((places) => new Set(places))])),
    };
  };

  // How an answer was judged is one letter; `-` is one that nobody judged.
  browser.isClean = (letter) => browser.run.clean_letters.includes(letter);
  browser.isUnclean = (letter) => letter !== "-" && !browser.isClean(letter);

  browser.href = function (place) {
    const page = Math.floor(place / browser.run.items_per_page) + 1;
    return browser.run.page_pattern.replace("{page}", page).replace("{id}", browser.run.ids[place]);
  };

  // As on static pages: what is too large to be read in full has a power of ten.
  function withPower(value) {
    const size = Math.abs(value);
    return (value < 0 ? MINUS : "") + (size >= MOST_WRITTEN ? "∞" : size.toExponential(2).replace("e+", "e"));
  }

  browser.signed = function (scaled) {
    if (Number.isNaN(scaled)) return "–";
    if (Math.abs(scaled) >= MOST_SCORED * browser.run.score_scale) return withPower(scaled / browser.run.score_scale);
    const hundredths = Math.floor((100 * scaled) / browser.run.score_scale + 0.5);
    return (hundredths < 0 ? MINUS : "") + (Math.abs(hundredths) / 100).toFixed(2);
  };

  // As on static pages: thousands parted, four figures where there are decimals.
  browser.count = function (value) {
    if (Number.isNaN(value)) return "–";
    if (Math.abs(value) >= MOST_COUNTED) return withPower(value);
    const rounded = value < 1000 ? Number(value.toPrecision(4)) : Math.round(value);
    const [whole, rest] = String(rounded).split(".");
    return whole.replace(/\B(?=(\d{3})+$)/g, THIN) + (rest ? `.${rest}` : "");
  };

  browser.heat = function (isDiagonal, scaled) {
    const share = Math.min(1, Math.max(0, scaled / browser.run.score_scale));
    return `${isDiagonal ? "same" : "cross"}-${Number.isNaN(share) ? "none" : Math.round(20 * share)}`;
  };

  // The one way an element is made here: texts enter as text nodes, so none can become markup.
  browser.element = function (name, properties, ...children) {
    const made = document.createElement(name);
    for (const [property, value] of Object.entries(properties || {})) {
      if (property in made) made[property] = value;
      else made.setAttribute(property, value);
    }
    made.append(...children.filter((child) => child !== null));
    return made;
  };

  return browser;
})();
