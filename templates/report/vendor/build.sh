#!/bin/sh
# Makes the engine's files of this folder again from the packages that npm knows; needs node 20 and GNU gzip.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
printf '{"private": true}\n' > package.json
npm install --no-audit --no-fund --ignore-scripts \
  @duckdb/duckdb-wasm@1.32.0 apache-arrow@17.0.0 flatbuffers@24.12.23 tslib@2.9.1 esbuild@0.28.1
dist=node_modules/@duckdb/duckdb-wasm/dist
# The browser's side of the engine, with what it needs of Arrow, as one classic script: pages use no modules.
printf 'export { AsyncDuckDB, VoidLogger } from "@duckdb/duckdb-wasm/dist/duckdb-browser.mjs";\n' > entry.mjs
npx esbuild entry.mjs --bundle --minify --format=iife --global-name=duckdb --platform=browser --target=es2022 \
  --legal-comments=none --outfile="$here/duckdb-api.js"
# One build of three: exceptions in WebAssembly, no threads. Every browser since 2022 runs it.
sed '/^\/\/# sourceMappingURL=/d' "$dist/duckdb-browser-eh.worker.js" | gzip -9n > "$here/duckdb-worker.js.gz"
gzip -9nc "$dist/duckdb-eh.wasm" > "$here/duckdb-eh.wasm.gz"
(cd "$here" && sha256sum duckdb-api.js duckdb-eh.wasm.gz duckdb-worker.js.gz)
