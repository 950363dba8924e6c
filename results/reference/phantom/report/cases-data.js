// The data of the case browser: asks for the shards that are shown and reads one film of them.
"use strict";
const MISSING = 65535;
const FLAT = 0.8; // a map is nearly flat if its weakest cell has this share of its strongest
const BINS = 24; // of the histogram: what is missing has none
let index, state, view, shown = [];

const $ = (id) => document.getElementById(id);
const waiting = new Map(), loaded = new Map();

function receiveShard(name, value) {
  waiting.get(name)(value);
}

function load(name) {
  if (!loaded.has(name)) {
    loaded.set(name, new Promise((resolve, reject) => {
      waiting.set(name, resolve);
      const script = document.createElement("script");
      script.src = `cases/${name}.js`;
      script.onerror = () => reject(new Error(
        `cases/${name}.js cannot be read: keep the folder of the report together.`));
      document.head.append(script);
    }).then(unpack));
  }
  return loaded.get(name);
}

const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

async function inflate(text) {
  const stream = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function unpack(shard) {
  for (const key of ["maps", "top", "blank", "values"]) {
    if (key in shard) shard[key] = await inflate(shard[key]);
  }
  if (shard.values) shard.values = new Uint16Array(shard.values.buffer);
  return shard;
}

const architectureOf = () => index.architectures.find((a) => a.name === state.architecture);
const pairName = ([pairing, before, after]) => `${pairing}~${before}~${after}`;

// The shards of the pair, layer and method that the state names.
async function openView() {
  const { pairs, cells, checkpoints } = architectureOf();
  const pair = pairs.find((p) => pairName(p) === state.pair);
  const cell = cells.findIndex(([role, method]) => role === state.role && method === state.method);
  const shards = [checkpoints[pair[1]], checkpoints[pair[2]], pair[4]];
  const [before, after, numbers] = await Promise.all(shards.map((n) => load(`shard-${n}`)));
  const films = index.labels.length;
  const offset = cells.slice(0, cell).reduce((sum, [, , h, w]) => sum + h * w * films, 0);
  const [, , height, width] = cells[cell];
  return { before, after, numbers, cell, offset, height, width, pair };
}

function metricCode(metric, film) {
  const place = view.cell * index.metrics.length + metric;
  return view.numbers.values[place * index.labels.length + film];
}

const scaleOf = (metric) => view.numbers.scales[view.cell * index.metrics.length + metric];

function metricValue(metric, film) {
  const code = metricCode(metric, film), [low, step] = scaleOf(metric);
  return code === MISSING ? null : low + step * code;
}

// How far the two maps are apart, whatever the direction of the metric; null where not known.
function drift(metric, film) {
  const value = metricValue(metric, film), kind = index.metrics[metric][2];
  if (value === null) return null;
  return kind === "similarity" ? -value : kind === "change" ? Math.abs(value) : value;
}

const reasonOf = (film) =>
  view.numbers.reasons[view.numbers.blank[view.cell * index.labels.length + film]];

// Metrics with a value for most films that have two maps: some are computed for few films only.
function knownMetrics(films) {
  const scored = films.filter((film) => !reasonOf(film));
  return index.metrics.map((_, metric) => metric).filter((metric) =>
    2 * scored.filter((film) => metricCode(metric, film) !== MISSING).length > scored.length);
}

const binOf = (metric, film) => Math.floor(metricCode(metric, film) / MISSING * BINS);

function mapOf(shard, film) {
  const size = view.height * view.width, start = view.offset + film * size;
  return shard.maps.subarray(start, start + size);
}

// Which cells are among the strongest 20 %, as the overlap takes them.
function strongestOf(shard, film) {
  const size = view.height * view.width, start = view.offset + film * size;
  return Array.from({ length: size }, (_, i) => {
    const bit = start + i;
    return (shard.top[bit >> 3] >> (7 - (bit & 7))) & 1;
  });
}

// The weakest cell of a map as a share of the strongest, if that is nearly all; otherwise 0.
function flatness(shard, film) {
  const least = Math.min(...mapOf(shard, film)) / 255;
  return least >= FLAT ? least : 0;
}

const spaced = (name) => name.replaceAll("_", " ");
const digits = (value) => value.toFixed(3).replace("-", "−");
const nameOf = (film) => index.names[film] ?? `film ${film + 1}`;
const stratumOf = (film) => index.strata[view.numbers.strata[film]] ?? "outcome unknown";
const classOf = (label) => spaced(index.classes[label]);

function textOf(tag, text, kind) {
  const element = document.createElement(tag);
  element.textContent = text;
  if (kind) element.className = kind;
  return element;
}

function shapeOf(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
