// A bundle in a browser or in Node: check it, run its graph with onnxruntime-web, decide.
// `files` maps names inside the bundle to functions that return a promise of a Uint8Array.

const MANIFEST_LIMIT = 4 << 20;
const LOCAL_LIMIT = 1 << 16;
const THRESHOLDS = ["threshold", "pixel_threshold", "minimum", "maximum"];

async function sha256(bytes) {
  const digest = await globalThis.crypto.subtle.digest("SHA-256", bytes);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function parsed(bytes, limit, name) {
  if (bytes.length > limit) throw new Error(`${name} is larger than any that anomedge writes`);
  return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
}

function isPlain(name) {
  return name.split("/").every((part) => part && part !== "." && part !== ".." && !/[\\:\0]/.test(part));
}

// The manifest is canonical JSON; its digest is the SHA-256 of the same text without the digest's line.
async function checkDigest(bytes, digest) {
  const text = new TextDecoder().decode(bytes);
  const line = `\n  "digest": "${digest}",`;
  const start = text.indexOf(line);
  const rest = text.slice(0, start) + text.slice(start + line.length);
  if (start < 0 || (await sha256(new TextEncoder().encode(rest))) !== digest)
    throw new Error("manifest.json was changed: its digest is not its content's");
}

function isUnhashed(name) {
  return name === "manifest.json" || name === "local.json" || name.startsWith("certificates/") ||
    /^\.local\.json\.[^/]*\.tmp$/.test(name);
}

// Check every file and return the bytes of the graph: those that were hashed are those that run.
async function checkedGraph(files, manifest, graph) {
  for (const name of files.keys())
    if (!isUnhashed(name) && !Object.hasOwn(manifest.files, name)) throw new Error(`${name} is not in the manifest`);
  let content;
  for (const [name, record] of Object.entries(manifest.files)) {
    if (!isPlain(name)) throw new Error(`got the file name ${name}; expected a plain one`);
    if (!files.has(name)) throw new Error(`${name} is missing; give the whole bundle`);
    const bytes = await files.get(name)();
    if (bytes.length !== record.bytes || (await sha256(bytes)) !== record.sha256)
      throw new Error(`${name} was changed: its SHA-256 is not the manifest's`);
    if (name === graph) content = bytes;
  }
  if (!content) throw new Error(`${graph} is not in the manifest's list of files`);
  return content;
}

function overridden(decision, local, digest) {
  if (local.bundle !== digest) return decision; // of another bundle
  const found = { ...decision };
  for (const name of THRESHOLDS) {
    if (local[name] === undefined) continue;
    if (!Number.isFinite(local[name])) throw new Error(`local.json: got ${local[name]} as ${name}; expected a number`);
    found[name] = local[name];
  }
  return found;
}

export function normalised(decision, value, threshold) {
  const range = Math.max(decision.maximum - decision.minimum, decision.scale);
  return Math.min(Math.max((value - threshold) / range + 0.5, 0), 1);
}

export class Bundle {
  // `ort` is the module onnxruntime-web.
  static async open(files, ort) {
    if (!files.has("manifest.json")) throw new Error("got no manifest.json; expected the folder of a bundle");
    const bytes = await files.get("manifest.json")();
    const manifest = parsed(bytes, MANIFEST_LIMIT, "manifest.json");
    if (manifest.schema_version !== 1) throw new Error("got another schema version; expected 1");
    await checkDigest(bytes, manifest.digest);
    if (manifest.input.dtype !== "uint8" || manifest.input.resize)
      throw new Error("this bundle was exported with --frame any; expected one with a fixed frame size");
    const name = manifest.variants.fp32?.onnx;
    if (!name) throw new Error("this bundle has no float32 graph; expected one with the precision fp32");
    const graph = await checkedGraph(files, manifest, name);
    let decision = manifest.decision;
    if (files.has("local.json")) {
      const local = parsed(await files.get("local.json")(), LOCAL_LIMIT, "local.json");
      decision = overridden(decision, local, manifest.digest);
    }
    return new Bundle(manifest, decision, await ort.InferenceSession.create(graph), ort);
  }

  constructor(manifest, decision, session, ort) {
    Object.assign(this, { manifest, decision, session, ort });
  }

  // Inspect one RGB frame, Uint8Array of height * width * 3.
  async inspect(pixels, height, width) {
    const { input, outputs } = this.manifest;
    if (height !== input.height || width !== input.width || pixels.length !== height * width * 3)
      throw new Error(`got a frame of ${height}x${width}; expected ${input.height}x${input.width}`);
    const count = input.batch === "dynamic" ? 1 : input.batch;
    const frames = new Uint8Array(count * pixels.length);
    for (let i = 0; i < count; ++i) frames.set(pixels, i * pixels.length);
    const tensor = new this.ort.Tensor("uint8", frames, [count, height, width, 3]);
    const results = await this.session.run({ frames: tensor });
    return this.#verdict(results, outputs.find((output) => output.name === "anomaly_map"));
  }

  #verdict(results, mapOutput) {
    const { decision } = this;
    const score = results.score.data[0];
    // NaN is above no threshold: it would be labelled normal.
    if (!Number.isFinite(score)) throw new Error("got a score that is not finite");
    const found = {
      label: score > decision.threshold ? "anomalous" : "normal",
      score,
      normalised: normalised(decision, score, decision.threshold),
      threshold: decision.threshold,
      runtime: "onnxruntime-web",
    };
    if (!mapOutput) return { ...found, map: null };
    const [, height, width] = mapOutput.shape;
    const values = results.anomaly_map.data.slice(0, height * width);
    if (!values.every(Number.isFinite)) throw new Error("got a map value that is not finite");
    return { ...found, map: { height, width, values } };
  }
}

// Refuse what a canvas would change: it has 8 bits a channel.
export function checkPicture(bytes) {
  const starts = (text, at = 0) => [...text].every((letter, place) => bytes[at + place] === letter.charCodeAt(0));
  const isPng = starts("\x89PNG\r\n");
  const isKnown = isPng || starts("\xff\xd8\xff") || starts("BM") || (starts("RIFF") && starts("WEBP", 8));
  if (!isKnown || (isPng && bytes[24] > 8))
    throw new Error("got a picture of another kind; expected PNG, JPEG, BMP or WebP with 8 bits a channel");
}

// RGBA of a canvas to RGB. Transparent pixels are refused, because a canvas rounds them.
export function rgbOf(rgba) {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    if (rgba[from + 3] !== 255) throw new Error("got a picture with transparent pixels; expected opaque ones");
    rgb[to++] = rgba[from];
    rgb[to++] = rgba[from + 1];
    rgb[to++] = rgba[from + 2];
  }
  return rgb;
}
