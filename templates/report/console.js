// The SQL console: loads the engine when its reader presses the button, and only then; runs what the reader wrote, and
// only when they press Run. State is the address' hash: #query=matrix&subset=all or #sql=...
"use strict";
(() => {
  const data = window.consoleData;
  const N_SHOWN = 1000;
  const MOST_SHOWN = 2000;
  const MOST_PARAMETERS = 100;
  // Controls and what turns the direction of the text after it; tabs and line ends are shown as they are.
  const UNSEEN = /[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g;
  const FORMULA = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;
  const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
  const part = (id) => document.getElementById(id);
  // Text, quoted names and comments are passed over, so that a $word within them is no parameter. One that is never
  // closed goes on to the end: to look for its end again from every place would take hours where a link holds many.
  const TOKENS = /'(?:[^']|'')*(?:'|$)|"(?:[^"]|"")*(?:"|$)|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|\$([A-Za-z_]\w*)/g;
  const TYPE = { integer: 2, float: 3, decimal: 7, date: 8, timestamp: 10 };
  let engine = null;
  let answer = null;
  let halt = () => {};

  // Loading

  function inMegabytes(bytes) {
    return bytes < 999500 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
  }

  function progressOf(total) {
    let loaded = 0;
    part("load-progress").hidden = false;
    return (bytes) => {
      loaded = Math.min(total, loaded + bytes);
      part("load-progress").value = loaded / total;
      // Spoken aloud, so not at every chunk.
      const tenths = Math.floor((10 * loaded) / total);
      const words = loaded < total ? `Loading ${inMegabytes(total)}: ${10 * tenths}%` : "Starting the engine";
      if (part("load-status").textContent !== words) part("load-status").textContent = words;
    };
  }

  // What the engine was asked and has not answered will never be answered.
  async function dropEngine() {
    const dropped = engine;
    engine = null;
    halt();
    await dropped?.stop();
  }

  async function load() {
    const isWhole = chosenWhole();
    const start = performance.now();
    const fresh = await window.consoleEngine.startEngine(isWhole, progressOf(window.consoleEngine.bytesOf(isWhole)));
    await dropEngine();
    engine = fresh;
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    part("load-status").textContent = `Ready after ${seconds} s, with ${isWhole ? "every text" : "figures only"}.`;
  }

  async function pressLoad() {
    part("load").disabled = true;
    try {
      await load();
      part("run").disabled = false;
      part("run-hint").hidden = true;
      showNeeds();
    } catch (error) {
      part("load-status").textContent = `Loading failed. ${messageOf(error)}`;
    }
    part("load-progress").hidden = true;
    part("load").disabled = false;
  }

  // The question

  function parameterNames(sql) {
    return [...new Set([...sql.matchAll(TOKENS)].map((found) => found[1]).filter(Boolean))].slice(0, MOST_PARAMETERS);
  }

  function parameterValues() {
    return Object.fromEntries([...part("parameters").querySelectorAll("input")].map((field) => [field.name, field.value]));
  }

  // The engine reads a quoted value as whatever type its place asks for.
  function filledIn(sql, values) {
    return sql.replace(TOKENS, (token, name) => (name ? `'${(values[name] ?? "").replaceAll("'", "''")}'` : token));
  }

  function showParameters(values) {
    const fields = parameterNames(part("sql").value).map((name) => {
      const row = document.createElement("p");
      row.className = "field";
      const label = document.createElement("label");
      label.htmlFor = `parameter-${name}`;
      label.textContent = `$${name}`;
      const field = document.createElement("input");
      Object.assign(field, { type: "text", id: `parameter-${name}`, name, value: String(values[name] ?? "") });
      row.append(label, field);
      return row;
    });
    part("parameters").replaceChildren(...fields);
  }

  function named(name) {
    return Object.hasOwn(data.queries, name) ? data.queries[name] : undefined;
  }

  function showNeeds() {
    const query = named(part("named").value);
    const lacksTexts = query?.needsTexts && !(engine ?? { isWhole: chosenWhole() }).isWhole;
    const lacksJson = query?.needsJson;
    part("needs").hidden = !(lacksTexts || lacksJson);
    part("needs").textContent = lacksJson
      ? "This query reads JSON, which the engine in the browser cannot; ask it with “nlareport query”."
      : "This query reads contexts or explanations: load everything, texts included.";
  }

  function chosenWhole() {
    return document.querySelector("input[name=tables]:checked").value === "whole";
  }

  function ask(name) {
    const query = named(name);
    part("named").value = query ? name : "";
    if (query) part("sql").value = query.sql;
    showParameters(query?.parameters ?? parameterValues());
    showNeeds();
  }

  function keepInAddress() {
    const name = part("named").value;
    const hash = new URLSearchParams({ ...(name ? { query: name } : { sql: part("sql").value }), ...parameterValues() });
    history.replaceState(null, "", `#${hash}`);
  }

  // Only into the editor: a link must not make a reader's machine work.
  function takeFromAddress() {
    const { query, sql, ...values } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
    if (named(query)) {
      ask(query);
      showParameters({ ...named(query).parameters, ...values });
    } else if (sql !== undefined) {
      ask("");
      part("sql").value = sql;
      showParameters(values);
    } else if (!part("sql").value) {
      ask("matrix");
    }
  }

  function edited() {
    const query = named(part("named").value);
    if (query && query.sql !== part("sql").value) part("named").value = "";
    if (parameterNames(part("sql").value).join() !== Object.keys(parameterValues()).join()) {
      showParameters(parameterValues());
    }
    showNeeds();
  }

  // The answer

  function messageOf(error) {
    const text = String(error?.message ?? error);
    try {
      return JSON.parse(text).exception_message ?? text;
    } catch {
      return text;
    }
  }

  function hintFor(message) {
    if (/json extension/.test(message)) return "It needs DuckDB's JSON extension, which this page does not load.";
    if (/extension/.test(message)) return "It needs an extension of DuckDB, and this page loads none.";
    if (!engine.isWhole && /\b(context|text|completion)\b/.test(message)) return "Texts are not loaded; load everything.";
    if (/Permission Error/.test(message)) return "Queries here can read the run's tables only.";
    return "";
  }

  function asText(value, type) {
    if (value === null || value === undefined) return null;
    if (type.typeId === TYPE.date || type.typeId === TYPE.timestamp) {
      const moment = new Date(Number(value)).toISOString();
      return type.typeId === TYPE.date && type.unit === 0 ? moment.slice(0, 10) : moment.replace("T", " ").replace("Z", "");
    }
    if (typeof value === "object") {
      return JSON.stringify(value, (_, inner) => (typeof inner === "bigint" ? Number(inner) : inner));
    }
    return String(value);
  }

  function isNumber(type) {
    return [TYPE.integer, TYPE.float, TYPE.decimal].includes(type.typeId);
  }

  function readable(text) {
    if (text == null) return text;
    const cut = text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}… (${text.length.toLocaleString("en")} characters)` : text;
    return cut.replace(UNSEEN, (found) => `\\x${found.codePointAt(0).toString(16).padStart(2, "0")}`);
  }

  // Six digits are what the eye can use; the CSV has all of them.
  function forReading(value, type) {
    if (!isNumber(type) || typeof value !== "number") return readable(asText(value, type)?.replace(/^-(?=\d+$)/, "−"));
    return String(Number(value.toPrecision(6))).replace("-", "−");
  }

  function element(name, text, attributes = {}) {
    return Object.assign(document.createElement(name), { textContent: text, ...attributes });
  }

  function tableOf(answered) {
    const fields = answered.schema.fields;
    const columns = fields.map((_, place) => answered.getChildAt(place));
    const table = document.createElement("table");
    const head = table.createTHead().insertRow();
    head.append(...fields.map(({ name, type }) => element("th", name, { scope: "col", className: isNumber(type) ? "num" : "" })));
    const body = table.createTBody();
    for (let row = 0; row < Math.min(answered.numRows, N_SHOWN); row += 1) {
      body.insertRow().append(...columns.map((column, place) => {
        const text = forReading(column.get(row), fields[place].type);
        const kind = [
          isNumber(fields[place].type) && "num",
          text == null && "quiet",
          String(text).length <= 40 && "short",
        ].filter(Boolean).join(" ");
        return element("td", text ?? "NULL", { className: kind });
      }));
    }
    return table;
  }

  function show(answered, milliseconds) {
    const rows = answered.numRows === 1 ? "1 row" : `${answered.numRows.toLocaleString("en")} rows`;
    const cut = answered.numRows > N_SHOWN ? `, the first ${N_SHOWN.toLocaleString("en")} shown` : "";
    part("run-status").textContent = `${rows}${cut}, in ${Math.max(1, Math.round(milliseconds))} ms.`;
    part("answer").replaceChildren(...(answered.schema.fields.length ? [tableOf(answered)] : []));
    part("save").hidden = answered.numRows === 0;
    answer = answered;
  }

  function refuse(error) {
    const message = messageOf(error);
    part("run-status").textContent = `The engine refused this query. ${hintFor(message)}`.trim();
    part("refusal").textContent = message.trim();
    part("refusal").hidden = false;
    part("answer").replaceChildren();
    part("save").hidden = true;
  }

  async function run() {
    if (part("run").disabled) {
      part("run-hint").hidden = engine !== null;
      return;
    }
    keepInAddress();
    part("run").disabled = true;
    part("stop").hidden = false;
    part("answering").hidden = false;
    part("refusal").hidden = true;
    part("run-status").textContent = "Asking";
    const start = performance.now();
    const asked = engine;
    const stopped = new Promise((_, reject) => { halt = reject; });
    try {
      const answered = await Promise.race([asked.query(filledIn(part("sql").value, parameterValues())), stopped]);
      show(answered, performance.now() - start);
    } catch (error) {
      if (engine === asked) refuse(error);
      else part("run-status").textContent = "Stopped. The tables are loaded again for the next query.";
    }
    part("stop").hidden = true;
    part("run").disabled = engine === null;
  }

  // A query cannot be asked to end; its engine is ended, and the tables go into another.
  async function stop() {
    await dropEngine();
    await pressLoad();
  }

  // What a spreadsheet would run as a formula stands behind an apostrophe, as in the report's own files.
  function csvField(exact) {
    if (exact === null) return "";
    const text = FORMULA.test(exact) && !NUMBER.test(exact) ? `'${exact}` : exact;
    return text === "" || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  function save() {
    const fields = answer.schema.fields;
    const columns = fields.map((_, place) => answer.getChildAt(place));
    const lines = [fields.map(({ name }) => csvField(name)).join(",")];
    for (let row = 0; row < answer.numRows; row += 1) {
      lines.push(columns.map((column, place) => csvField(asText(column.get(row), fields[place].type))).join(","));
    }
    const address = URL.createObjectURL(new Blob([`${lines.join("\n")}\n`], { type: "text/csv" }));
    element("a", "", { href: address, download: `${part("named").value.replace("/", "-") || "answer"}.csv` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  }

  function begin() {
    takeFromAddress();
    part("without-script").hidden = true;
    part("asking").hidden = false;
    const isFromDisk = location.protocol === "file:";
    part("from-disk").hidden = !isFromDisk;
    part("loading").hidden = isFromDisk;
    part("run-hint").hidden = isFromDisk;
    part("load").addEventListener("click", pressLoad);
    part("run").addEventListener("click", run);
    part("stop").addEventListener("click", stop);
    part("save").addEventListener("click", save);
    part("named").addEventListener("change", () => { ask(part("named").value); keepInAddress(); });
    part("sql").addEventListener("input", edited);
    part("asking").addEventListener("change", keepInAddress);
    document.querySelectorAll("input[name=tables]").forEach((choice) => choice.addEventListener("change", showNeeds));
    window.addEventListener("hashchange", takeFromAddress);
    part("asking").addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run();
    });
  }

  begin();
})();
