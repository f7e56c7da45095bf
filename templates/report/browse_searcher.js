// What searches texts. It stands alone: a worker runs its source, and where there is none the page runs it itself.
"use strict";

window.nlaBrowser.makeSearcher = function () {
  const MOST_MARKS = 200;
  const columns = { context: [], explanation: [] };
  const inLowerCase = { context: [], explanation: [] };

  function expressionOf({ query, regex }, flags) {
    return new RegExp(regex ? query : query.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), flags);
  }

  function marksIn(text, expression) {
    const found = [];
    for (const match of text.matchAll(expression)) {
      if (match[0] !== "") found.push([match.index, match.index + match[0].length]);
      if (found.length > MOST_MARKS) break;
    }
    return found;
  }

  return {
    // Rows of an item's place and its texts: the context and the explanations.
    take(rows) {
      for (const [place, texts] of rows) {
        ["context", "explanation"].forEach((name, part) => {
          columns[name][place] = texts[part];
          inLowerCase[name][place] = texts[part].toLowerCase();
        });
      }
    },

    // One byte per item, 1 where it matches.
    find({ query, regex, place }, nItems) {
      const searched = regex ? columns : inLowerCase;
      const expression = regex ? expressionOf({ query, regex }, "i") : null;
      const needle = query.toLowerCase();
      const hits = new Uint8Array(nItems);
      for (const name of place === "" ? ["context", "explanation"] : [place]) {
        searched[name].forEach((text, item) => {
          if (!hits[item] && (expression ? expression.test(text) : text.includes(needle))) hits[item] = 1;
        });
      }
      return hits;
    },

    // For each text where matches begin and end.
    mark(search, texts) {
      return texts.map((text) => marksIn(text, expressionOf(search, "gi")));
    },
  };
};
