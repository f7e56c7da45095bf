// The items' texts: shards that are scripts of their own, added to the page when an item is shown or texts are searched.
"use strict";

(function (browser) {
  const AT_ONCE = 6;
  const shards = new Map();
  const waiting = new Map();
  const lost = new Set();

  // Called by the shards themselves.
  browser.texts = function (number, rows) {
    shards.set(number, rows);
  };

  browser.lostShards = () => lost.size;

  // A shard's promise is kept when it is there or known to be lost, so that one lost file stops nothing else.
  function load(number) {
    if (!waiting.has(number)) {
      waiting.set(number, new Promise((settled) => {
        const script = browser.element("script", { src: browser.run.shards[number], async: true });
        script.onload = () => settled();
        script.onerror = () => {
          lost.add(number);
          settled();
        };
        document.head.append(script);
      }));
    }
    return waiting.get(number);
  }

  function named(row) {
    const [document, context, texts, answers, reasons] = row;
    return { document, context, texts, answers, reasons };
  }

  // The item's texts, undefined while they are not there; then `whenThere` is called once they are, or are lost.
  browser.textsOf = function (place, whenThere) {
    const number = Math.floor(place / browser.run.items_per_shard);
    const rows = shards.get(number);
    if (rows) return named(rows[place % browser.run.items_per_shard]);
    if (lost.has(number)) return null;
    load(number).then(whenThere);
    return undefined;
  };

  browser.everyText = function* () {
    for (let number = 0; number < browser.run.shards.length; number += 1) {
      const rows = shards.get(number) || [];
      for (let row = 0; row < rows.length; row += 1) {
        yield [number * browser.run.items_per_shard + row, named(rows[row])];
      }
    }
  };

  browser.loadEveryText = async function (progress) {
    const total = browser.run.shards.length;
    let next = 0;
    let done = 0;
    async function worker() {
      while (next < total) {
        const number = next;
        next += 1;
        await load(number);
        done += 1;
        progress(done, total);
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  };
})(window.nlaBrowser);
