// The worker that searches: it is given every text once, answers one question at a time, and is stopped when that takes
// too long. An expression can backtrack without end, and anybody's link can hold one.
"use strict";

(function (browser) {
  const LIMIT_MS = 2000;
  const FED_AT_ONCE = 20;
  const STOPPED = `Stopped after ${LIMIT_MS / 1000} s: searching these texts for this takes too long`;
  const REFUSED = "Expressions are searched in a worker, which can be stopped, and this browser starts none here. Plain text is searched";
  let worker = null;
  let inPage = null;
  let lastTurn = Promise.resolve();

  // Runs in the worker: the blob that holds it inherits this page's Content-Security-Policy.
  function answerQuestions(searcher) {
    self.onmessage = ({ data: [task, values] }) => {
      try {
        self.postMessage([searcher[task](...values), ""]);
      } catch (error) {
        self.postMessage([null, error.message]);
      }
    };
  }

  function start() {
    const source = `"use strict";(${answerQuestions})((${browser.makeSearcher})());`;
    const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    try {
      return new Worker(address);
    } finally {
      // By then the worker has its source, or never will.
      setTimeout(() => URL.revokeObjectURL(address), 10000);
    }
  }

  function stop() {
    worker?.terminate();
    worker = null;
  }

  // The worker's answer; it is stopped when it has none in time.
  function asked(task, values, limit) {
    return new Promise((resolve, reject) => {
      const timer = limit === Infinity ? 0 : setTimeout(() => {
        stop();
        reject(new Error(STOPPED));
      }, limit);
      worker.onmessage = ({ data: [answer, fault] }) => {
        clearTimeout(timer);
        if (fault) reject(new Error(fault));
        else resolve(answer);
      };
      worker.onerror = (event) => {
        event.preventDefault();
        clearTimeout(timer);
        stop();
        reject(new Error("The browser ended this search"));
      };
      worker.postMessage([task, values]);
    });
  }

  function* batches() {
    let batch = [];
    for (const [place, { context, texts, answers }] of browser.everyText()) {
      const before = context === null ? "" : context.join("");
      batch.push([place, [before, texts.map((text, pair) => text ?? answers[pair] ?? "").join("\n")]]);
      if (batch.length === FED_AT_ONCE * browser.run.items_per_shard) {
        yield batch;
        batch = [];
      }
    }
    if (batch.length) yield batch;
  }

  // Every text goes to the worker once; what is asked later is a few letters.
  async function feed(take) {
    for (const batch of batches()) {
      await take(batch);
      // A page that is being filled still answers to its reader.
      await new Promise((done) => setTimeout(done));
    }
  }

  async function open(isWithTexts) {
    if (inPage) return;
    if (worker && (worker.hasTexts || !isWithTexts)) return;
    try {
      worker ??= start();
      await asked("mark", [{ query: "", regex: "" }, []], Infinity);
    } catch {
      // Neither an old browser nor a strict host may take plain search away.
      stop();
      inPage = browser.makeSearcher();
      await feed((batch) => inPage.take(batch));
      return;
    }
    if (!isWithTexts) return;
    await feed((batch) => asked("take", [batch], Infinity));
    worker.hasTexts = true;
  }

  // The answer to one question, after those asked before; null when by then nobody wants it.
  browser.ask = function (task, search, value, isWanted) {
    const turn = lastTurn.then(async () => {
      if (!isWanted()) return null;
      await open(task === "find");
      if (!isWanted()) return null;
      if (!inPage) return asked(task, [search, value], LIMIT_MS);
      if (search.regex) throw new Error(REFUSED);
      return inPage[task](search, value);
    });
    lastTurn = turn.catch(() => null);
    return turn;
  };
})(window.nlaBrowser);
