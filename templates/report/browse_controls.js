// The form above the list: what it says becomes the state, and the state is what it says.
"use strict";

(function (browser) {
  const form = document.querySelector(".filters");
  const TYPED = new Set(["query", "low", "high"]);
  const PAUSE_MS = 120;
  // Typing into one field until it is left is one step back, however many letters it took.
  const typing = { name: "", pause: 0, waiting: null };
  const strata = () => Array.from(form.querySelectorAll("[name=stratum]"));

  browser.showControls = function (state) {
    const asked = browser.askedTags(state);
    for (const control of form.querySelectorAll("select, input:not([type=checkbox])")) {
      if (control.dataset.tag !== undefined) {
        const tag = browser.run.tags[control.dataset.tag];
        control.selectedIndex = 1 + tag.values.indexOf(asked.get(tag.name));
        continue;
      }
      // Letters that are about to become part of the state must not be taken back by another choice.
      if (control.value !== state[control.name] && control !== typing.waiting) control.value = state[control.name];
      // An address may hold what the form does not offer.
      if (control.selectedIndex === -1) control.selectedIndex = 0;
    }
    form.elements.regex.checked = state.regex !== "";
    const wanted = state.stratum.split(",");
    for (const box of strata()) box.checked = state.stratum === "" || wanted.includes(box.value);
    const inView = new Set(browser.cellsInView(state).map((cell) => cell.name));
    for (const option of form.elements.score.options) option.disabled = browser.run.cellsByName.has(option.value) && !inView.has(option.value);
  };

  browser.showFault = function (fault) {
    document.getElementById("query-fault").textContent = fault;
    form.elements.query.setAttribute("aria-invalid", String(fault !== ""));
  };

  function said(control) {
    if (control.name === "regex") return control.checked ? "1" : "";
    if (control.name !== "stratum") return control.value;
    const checked = strata().filter((box) => box.checked).map((box) => box.value);
    // Nothing ticked would be "none of them", which no reader wants and "" cannot say apart from "all".
    return checked.length === strata().length ? "" : checked.join(",") || "none";
  }

  function saidOfTags() {
    const asked = new URLSearchParams();
    for (const control of form.querySelectorAll("[data-tag]")) {
      const tag = browser.run.tags[control.dataset.tag];
      if (control.value !== "") asked.append(tag.name, tag.values[control.value]);
    }
    return asked.toString();
  }

  // What a choice leaves without sense goes with it: a cell that is no longer in view, a place in another list.
  function consequences(changes) {
    const next = { ...browser.state(), ...changes };
    const cell = browser.run.cellsByName.get(next.score);
    const gone = cell && !browser.cellsInView(next).includes(cell);
    return { ...changes, part: "", item: "", ...(gone ? { score: "mean" } : {}) };
  }

  browser.listenToControls = function () {
    function type(control) {
      clearTimeout(typing.pause);
      typing.waiting = null;
      const isFirst = typing.name !== control.name;
      typing.name = control.name;
      browser.change(consequences({ [control.name]: control.value }), isFirst);
    }
    form.addEventListener("input", (event) => {
      if (!TYPED.has(event.target.name)) return;
      clearTimeout(typing.pause);
      typing.waiting = event.target;
      typing.pause = setTimeout(type, PAUSE_MS, event.target);
    });
    form.addEventListener("change", (event) => {
      const control = event.target;
      if (TYPED.has(control.name)) type(control);
      else if (control.dataset.tag !== undefined) browser.change(consequences({ tags: saidOfTags() }), true);
      else browser.change(consequences({ [control.name]: said(control) }), true);
      typing.name = "";
    });
    form.addEventListener("submit", (event) => event.preventDefault());
    // A phone has no room for all fields above the list.
    if (matchMedia("(max-width: 60rem)").matches) form.querySelector(".more").open = false;
  };
})(window.nlaBrowser);
