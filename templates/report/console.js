// The SQL console. Loads DuckDB-WASM and the run's tables when its reader presses the button, and only then; runs what
// the reader wrote, and only when they press Run. State is the address' hash: #query=matrix&subset=all or #sql=...
"use strict";
(() => {
  const data = window.consoleData;
  const N_SHOWN = 1000;
  const part = (id) => document.getElementById(id);
  // Text, quoted names and comments are passed over, so that a $word within them is no parameter.
  const TOKENS = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|\$([A-Za-z_]\w*)/g;
  const TYPE = { integer: 2, float: 3, decimal: 7, date: 8, timestamp: 10 };
  let unpacked = null;
  let engine = null;
  let answer = null;

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
      const tenth = Math.floor((10 * loaded) / total) / 10;
      part("load-status").textContent = `Loading ${inMegabytes(total)}: ${Math.round(100 * tenth)}%`;
    };
  }

  async function fetched(file, onBytes) {
    const response = await fetch(file.href);
    if (!response.ok) throw new Error(`${file.href} cannot be loaded: the server answers ${response.status}.`);
    const chunks = [];
    const reader = response.body.getReader();
    for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
      chunks.push(value);
      onBytes(value.length);
    }
    return new Blob(chunks);
  }

  async function unzipped(blob) {
    const start = new Uint8Array(await blob.slice(0, 2).arrayBuffer());
    // Some servers unpack what ends in .gz on the way.
    if (start[0] !== 0x1f || start[1] !== 0x8b) return blob;
    return new Response(blob.stream().pipeThrough(new DecompressionStream("gzip"))).blob();
  }

  async function blobAddress(file, type, onBytes) {
    const blob = await unzipped(await fetched(file, onBytes));
    return URL.createObjectURL(new Blob([blob], { type }));
  }

  function apiLoaded(file, onBytes) {
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = file.href;
      script.onload = () => { onBytes(file.bytes); resolve(); };
      script.onerror = () => reject(new Error(`${file.href} cannot be loaded.`));
      document.head.append(script);
    });
  }

  async function engineFiles(onBytes) {
    const { api, worker, wasm } = data.engine;
    const [, workerAt, wasmAt] = await Promise.all([
      apiLoaded(api, onBytes),
      blobAddress(worker, "text/javascript", onBytes),
      blobAddress(wasm, "application/wasm", onBytes),
    ]);
    return { workerAt, wasmAt };
  }

  async function started({ workerAt, wasmAt }) {
    const database = new window.duckdb.AsyncDuckDB(new window.duckdb.VoidLogger(), new Worker(workerAt));
    await database.instantiate(wasmAt);
    await database.open({ query: { castTimestampToDate: true, castDecimalToDouble: true } });
    const connection = await database.connect();
    // Before anything else is asked: an unknown function must not send the engine to another host.
    await connection.query("SET autoload_known_extensions = false; SET autoinstall_known_extensions = false");
    await connection.query(data.schema);
    return { database, connection };
  }

  async function fillTable({ database, connection }, name, blob) {
    await database.registerFileBuffer("table.csv", new Uint8Array(await (await unzipped(blob)).arrayBuffer()));
    await connection.query(
      `COPY ${name} FROM 'table.csv' (FORMAT csv, HEADER true, AUTO_DETECT false, DELIMITER ',', QUOTE '"', ` +
        `ESCAPE '"', NULL '', ALLOW_QUOTED_NULLS false)`,
    );
    await database.dropFile("table.csv");
  }

  async function attachRun({ database, connection }, blob) {
    await database.registerFileBuffer("run.duckdb", new Uint8Array(await blob.arrayBuffer()));
    await connection.query("ATTACH 'run.duckdb' AS run (READ_ONLY)");
    // Tables that an older run file lacks are found, empty, among those just made.
    await connection.query("SET search_path = 'run.main,memory.main'");
  }

  async function load() {
    const choice = document.querySelector("input[name=tables]:checked");
    const isWhole = choice.value === "whole";
    const files = { ...data.facts, ...(isWhole ? data.whole : data.tables) };
    const onBytes = progressOf(Number(choice.dataset.bytes) + (unpacked ? 0 : Number(part("load").dataset.bytes)));
    const start = performance.now();
    const fetching = Promise.all(
      Object.entries(files).map(async ([name, file]) => [name, await fetched(file, onBytes)]),
    );
    [unpacked] = await Promise.all([unpacked ?? engineFiles(onBytes), fetching]);
    part("load-status").textContent = "Starting the engine";
    const fresh = await started(unpacked);
    if (!isWhole) await fresh.connection.query(data.withoutTexts);
    for (const [name, blob] of await fetching) {
      await (name === "run" && isWhole ? attachRun(fresh, blob) : fillTable(fresh, name, blob));
    }
    // From here on a query reaches neither files nor hosts, and cannot change that.
    await fresh.connection.query("SET enable_external_access = false; SET lock_configuration = true");
    await engine?.database.terminate();
    engine = { ...fresh, isWhole };
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
    return [...new Set([...sql.matchAll(TOKENS)].map((found) => found[1]).filter(Boolean))];
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

  function showNeeds() {
    const query = data.queries[part("named").value];
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
    const query = data.queries[name];
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
    if (query in data.queries) {
      ask(query);
      showParameters({ ...data.queries[query].parameters, ...values });
    } else if (sql !== undefined) {
      ask("");
      part("sql").value = sql;
      showParameters(values);
    } else if (!part("sql").value) {
      ask("matrix");
    }
  }

  function edited() {
    const query = data.queries[part("named").value];
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
    if (/Permission Error/.test(message)) return "Queries here reach the run's tables only.";
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

  // Six digits are what the eye can use; the CSV has all of them.
  function forReading(value, type) {
    if (!isNumber(type) || typeof value !== "number") return asText(value, type)?.replace(/^-(?=\d+$)/, "−");
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
        const kind = [isNumber(fields[place].type) && "num", text == null && "quiet"].filter(Boolean).join(" ");
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
      part("run-hint").hidden = false;
      return;
    }
    keepInAddress();
    part("run").disabled = true;
    part("answering").hidden = false;
    part("refusal").hidden = true;
    part("run-status").textContent = "Asking";
    const start = performance.now();
    try {
      const answered = await engine.connection.query(filledIn(part("sql").value, parameterValues()));
      show(answered, performance.now() - start);
    } catch (error) {
      refuse(error);
    }
    part("run").disabled = false;
  }

  function csvField(text) {
    if (text === null) return "";
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
    part("asking").hidden = false;
    const isFromDisk = location.protocol === "file:";
    part("from-disk").hidden = !isFromDisk;
    part("loading").hidden = isFromDisk;
    part("run-hint").hidden = isFromDisk;
    part("load").addEventListener("click", pressLoad);
    part("run").addEventListener("click", run);
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
