// What the reader searches for: the last answer, which stays while the next is sought or when there will be none, and
// where in the chosen item's texts it stands.
"use strict";

(function (browser) {
  const MOST_QUOTED = 60;
  const NOTHING = { number: 0, query: "", hits: null, askedAt: 0 };
  let answered = NOTHING;
  let asked = { key: "", fault: "", isWaiting: false, askedAt: 0 };
  let marked = { key: "", places: null, fault: "" };
  let areTextsRead = false;

  const wish = ({ query, regex, place }) => ({ query, regex, place });

  // An expression that is none is told before any text is read.
  function faultOf({ query, regex }) {
    try {
      if (regex) new RegExp(query);
      return "";
    } catch (error) {
      // It quotes the expression, however long that is.
      return error.message.replace(query, () => shortened(query));
    }
  }

  function shortened(text) {
    return text.length <= MOST_QUOTED ? text : `${text.slice(0, MOST_QUOTED)}…`;
  }

  // What is wrong, and what the list shows instead.
  function toldFault(fault) {
    if (fault === "") return "";
    return `${fault}. ${answered.hits ? `The list is still that of “${shortened(answered.query)}”.` : "The list is not searched."}`;
  }

  async function seek(state, key, progress, whenDone) {
    const isWanted = () => asked.key === key;
    try {
      if (!areTextsRead) await browser.loadEveryText(progress);
      areTextsRead = true;
      const hits = await browser.ask("find", wish(state), browser.run.ids.length, isWanted);
      if (!isWanted()) return;
      answered = { number: answered.number + 1, query: state.query, hits, askedAt: asked.askedAt };
    } catch (error) {
      if (!isWanted()) return;
      asked.fault = error.message;
    }
    asked.isWaiting = false;
    whenDone();
  }

  // The hits to show for a state: one byte per item, or null when nothing is searched. When there are others to come,
  // `whenDone` is called once they are there, or are known not to come.
  browser.search = function (state, progress, whenDone) {
    const key = state.query === "" ? "" : JSON.stringify(wish(state));
    if (key !== asked.key) {
      const fault = faultOf(state);
      asked = { key, fault, isWaiting: key !== "" && fault === "", askedAt: performance.now() };
      if (key === "") answered = { ...NOTHING, number: answered.number + 1 };
      if (asked.isWaiting) seek(state, key, progress, whenDone);
    }
    return { ...answered, fault: toldFault(asked.fault), isWaiting: asked.isWaiting };
  };

  async function mark(state, key, texts, whenThere) {
    const isWanted = () => marked.key === key;
    let places = null;
    let fault = "";
    try {
      places = await browser.ask("mark", wish(state), texts, isWanted);
    } catch (error) {
      fault = `${error.message}; so nothing is marked here.`;
    }
    if (!isWanted()) return;
    marked = { key, places, fault };
    whenThere();
  }

  // For each text of an item where the search found something; nothing while that is sought, then `whenThere` is called.
  browser.marks = function (state, item, texts, whenThere) {
    const key = JSON.stringify([wish(state), item, texts.length]);
    if (state.query === "" || asked.isWaiting || asked.fault !== "") return { places: null, fault: "" };
    if (marked.key !== key) {
      marked = { key, places: null, fault: "" };
      mark(state, key, texts, whenThere);
    }
    return marked;
  };
})(window.nlaBrowser);
