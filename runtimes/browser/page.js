// The page: file inputs, verdict, and the map over the picture.
import * as ort from "onnxruntime-web";

import { Bundle, checkPicture, normalised, rgbOf } from "./bundle.js";

const element = (id) => document.getElementById(id);
let bundle = null;
// Counted, so that an answer to an older choice of files is not shown.
let openings = 0;
let inspections = 0;

// Names inside the bundle: the first part of a dropped folder's names is the folder.
function filesOf(list) {
  const files = new Map();
  for (const file of list) {
    const name = file.webkitRelativePath.split("/").slice(1).join("/") || file.name;
    files.set(name, async () => new Uint8Array(await file.arrayBuffer()));
  }
  return files;
}

// Without colour management: the detector takes pixels as they are stored, turned as EXIF says.
async function pixelsOf(file) {
  checkPicture(new Uint8Array(await file.arrayBuffer()));
  const options = { colorSpaceConversion: "none", premultiplyAlpha: "none", imageOrientation: "from-image" };
  const image = await createImageBitmap(file, options);
  const canvas = element("frame");
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.hidden = false;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, image.width, image.height);
  return { pixels: rgbOf(data), height: image.height, width: image.width };
}

// Width over height of the map's part of the frame: the detector's image is stretched, and its middle may be cropped.
function aspectOf(map) {
  const { image, input } = bundle.manifest;
  const [top, left, bottom, right] = image.region ?? [0, 0, 1, 1];
  const width = input.width * (right - left) * (map.width / image.size[1]);
  const height = input.height * (bottom - top) * (map.height / image.size[0]);
  return width / height;
}

// Grey with the pixel threshold in the middle; values above it in red.
function drawMap(map) {
  const canvas = element("map");
  canvas.hidden = !map;
  if (!map) return;
  canvas.width = map.width;
  canvas.height = map.height;
  canvas.style.aspectRatio = aspectOf(map);
  const context = canvas.getContext("2d");
  const image = context.createImageData(map.width, map.height);
  const { decision } = bundle;
  map.values.forEach((value, place) => {
    const grey = Math.round(255 * normalised(decision, value, decision.pixel_threshold));
    const above = value > decision.pixel_threshold;
    image.data.set(above ? [220, 255 - grey, 60, 255] : [grey, grey, grey, 255], 4 * place);
  });
  context.putImageData(image, 0, 0);
}

function show(verdict) {
  element("verdict").textContent = verdict.label;
  element("verdict").className = verdict.label;
  element("numbers").textContent =
    `score ${verdict.score.toPrecision(7)}, threshold ${verdict.threshold.toPrecision(7)}, ` +
    `normalised ${verdict.normalised.toFixed(3)}`;
  drawMap(verdict.map);
  document.body.dataset.verdict = JSON.stringify({ label: verdict.label, score: verdict.score });
}

function clear() {
  for (const id of ["message", "verdict", "numbers"]) element(id).textContent = "";
  for (const id of ["frame", "map"]) element(id).hidden = true;
  delete document.body.dataset.verdict;
}

async function inspect() {
  const own = ++inspections;
  clear();
  const [file] = element("picture").files;
  if (!bundle || !file) return;
  try {
    const { pixels, height, width } = await pixelsOf(file);
    const verdict = await bundle.inspect(pixels, height, width);
    if (own === inspections) show(verdict);
  } catch (error) {
    if (own === inspections) element("message").textContent = error.message;
  }
}

async function open() {
  const own = ++openings;
  ++inspections; // those under way are of the former bundle
  clear();
  bundle = null;
  element("state").textContent = "Checking the bundle's files.";
  try {
    const opened = await Bundle.open(filesOf(element("bundle").files), ort);
    if (own !== openings) return;
    bundle = opened;
    const { detector, input } = bundle.manifest;
    element("state").textContent = `${detector}, frames of ${input.height}x${input.width}; all hashes are right.`;
    await inspect();
  } catch (error) {
    if (own !== openings) return;
    element("state").textContent = "No bundle is open.";
    element("message").textContent = error.message;
  }
}

ort.env.wasm.numThreads = 1;
element("bundle").addEventListener("change", open);
element("picture").addEventListener("change", inspect);
