// Inspect raw RGB frames in Node: node node-client.js BUNDLE FRAME.rgb... [--map FILE]
// Prints one JSON object a frame, as the protocol of `anomedge conform` asks; writes the map of a single one as raw float32.
import { lstatSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { parseArgs } from "node:util";

import * as ort from "onnxruntime-web";

import { Bundle } from "./bundle.js";

function filesOf(root) {
  const files = new Map();
  for (const name of readdirSync(root, { recursive: true })) {
    const path = join(root, name);
    const found = lstatSync(path);
    if (found.isDirectory()) continue;
    if (!found.isFile()) throw new Error(`${name} is a link, a pipe or a device; expected plain files`);
    files.set(relative(root, path).split(sep).join("/"), async () => new Uint8Array(readFileSync(path)));
  }
  return files;
}

async function main(words) {
  const { values, positionals } = parseArgs({
    args: words,
    options: { map: { type: "string" } },
    allowPositionals: true,
  });
  const [root, ...frames] = positionals;
  if (!frames.length) throw new Error("usage: node node-client.js BUNDLE FRAME.rgb... [--map FILE]");
  if (values.map && frames.length > 1) throw new Error("got --map and several frames; expected one");
  ort.env.wasm.numThreads = 1;
  const bundle = await Bundle.open(filesOf(root), ort);
  const { height, width } = bundle.manifest.input;
  for (const frame of frames) {
    const pixels = new Uint8Array(readFileSync(frame));
    if (pixels.length !== height * width * 3)
      throw new Error(`${frame}: got ${pixels.length} bytes; expected ${height * width * 3}`);
    const { map, ...verdict } = await bundle.inspect(pixels, height, width);
    if (values.map) {
      if (!map) throw new Error("got --map; this detector has no anomaly map");
      writeFileSync(values.map, map.values);
    }
    console.log(JSON.stringify({ frame, ...verdict }));
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exitCode = 2;
}
