// Starts DuckDB-WASM with the tables of the run in it. Nothing is loaded before startEngine is called.
"use strict";
(() => {
  const data = window.consoleData;
  let unpacked = null;

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
    const worker = new Worker(workerAt);
    const database = new window.duckdb.AsyncDuckDB(new window.duckdb.VoidLogger(), worker);
    const broken = new Promise((_, reject) => {
      worker.addEventListener("error", () => reject(new Error("The browser refuses to start the engine.")));
    });
    await Promise.race([database.instantiate(wasmAt), broken]);
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
    // Tables that an older run file lacks stay, empty, as they were just made; the others become views of the run file.
    await connection.query(data.viewsOfRun);
  }

  // What a choice of tables loads: files by the table they fill, the run file under "run".
  function filesOf(isWhole) {
    return { ...data.facts, ...(isWhole ? data.whole : data.tables) };
  }

  function bytesOf(isWhole) {
    const files = [...Object.values(filesOf(isWhole)), ...(unpacked ? [] : Object.values(data.engine))];
    return files.reduce((sum, file) => sum + file.bytes, 0);
  }

  // A fresh engine with the figures, or with the whole run; onBytes hears of every chunk that arrived.
  async function startEngine(isWhole, onBytes) {
    const fetching = Promise.all(
      Object.entries(filesOf(isWhole)).map(async ([name, file]) => [name, await fetched(file, onBytes)]),
    );
    [unpacked] = await Promise.all([unpacked ?? engineFiles(onBytes), fetching]);
    const engine = await started(unpacked);
    if (!isWhole) await engine.connection.query(data.withoutTexts);
    for (const [name, blob] of await fetching) {
      await (isWhole && name === "run" ? attachRun(engine, blob) : fillTable(engine, name, blob));
    }
    // From here on a query reaches neither files nor hosts, and cannot change that.
    await engine.connection.query("SET enable_external_access = false; SET lock_configuration = true");
    return {
      isWhole,
      query: (sql) => engine.connection.query(sql),
      stop: () => engine.database.terminate(),
    };
  }

  window.consoleEngine = { bytesOf, startEngine };
})();
