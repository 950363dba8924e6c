// The list of cases: filters, honest order, histogram, rows in sight and the list as CSV.
"use strict";
const ROW = 40; // height of a row of the list in CSS pixels, as in report.css

const sortMetric = () => index.metrics.findIndex(([name]) => name === state.sort);
const whole = () => state.from === "0" && state.to === String(BINS);

// Who is in: the filters without the histogram's, then the histogram's; most drifted first.
function choose() {
  const stratum = index.strata.indexOf(state.stratum), metric = sortMetric();
  const words = state.search.toLowerCase();
  const candidates = index.labels.map((_, film) => film).filter((film) =>
    (state.class === "" || index.labels[film] === Number(state.class)) &&
    (stratum < 0 || view.numbers.strata[film] === stratum) &&
    (state.common === "0" || index.common[film]) &&
    (words === "" || nameOf(film).toLowerCase().includes(words)));
  const ranged = metric >= 0 && !whole();
  shown = !ranged ? candidates : candidates.filter((film) => {
    const bin = binOf(metric, film);
    return bin >= Number(state.from) && bin < Number(state.to);
  });
  order(metric);
  if (!shown.includes(Number(state.film) - 1)) {
    state.film = shown.length ? String(shown[0] + 1) : state.film;
  }
  drawHistogram(metric, candidates);
  $("count").textContent = `${shown.length} of ${index.labels.length} films`;
}

// What has no value goes last, whatever the order; what is alike goes by the finer metric.
function order(metric) {
  const sign = state.order === "least" ? -1 : 1;
  const finer = index.metrics.findIndex(([name]) => name === index.finer);
  const keys = new Map(shown.map((film) => [film, metric < 0 ? [-film, 0] :
    [drift(metric, film), finer < 0 ? 0 : drift(finer, film) ?? 0]]));
  shown.sort((a, b) => {
    const [x, y] = [keys.get(a), keys.get(b)];
    const missing = (x[0] === null) - (y[0] === null);
    return missing || sign * (y[0] - x[0]) || sign * (y[1] - x[1]) || a - b;
  });
}

function drawHistogram(metric, candidates) {
  $("histogram-field").hidden = metric < 0;
  if (metric < 0) return;
  const counts = Array(BINS).fill(0);
  for (const film of candidates) {
    const bin = binOf(metric, film);
    if (bin < BINS) counts[bin] += 1;
  }
  const most = Math.max(1, ...counts), from = Number(state.from), to = Number(state.to);
  $("histogram").replaceChildren(...counts.map((count, bin) => {
    const height = count && Math.max(1, 30 * count / most);
    return shapeOf("rect", {
      x: bin + 0.08, y: 30 - height, width: 0.84, height, class: bin >= from && bin < to ? "in" : "",
    });
  }));
  const [low, step] = scaleOf(metric), at = (bin) => digits(low + step * bin / BINS * (MISSING - 1));
  $("range-from").value = state.from;
  $("range-to").value = state.to;
  $("range-text").textContent = `${at(from)} to ${at(to)}`;
}

// A bar of the histogram: its cases alone, and once more for all.
function chooseBar(event) {
  const box = $("histogram").getBoundingClientRect();
  const bin = Math.floor((event.clientX - box.left) / box.width * BINS);
  const alone = state.from === String(bin) && state.to === String(bin + 1);
  state.from = alone ? "0" : String(bin);
  state.to = alone ? String(BINS) : String(bin + 1);
  refresh();
}

// Names are cut where all are alike, at the beginning and the end, and last in their middle.
let alike;
function cutName(film) {
  const text = nameOf(film);
  if (alike === undefined) {
    const [first, ...others] = index.names, mirror = (t) => [...t].reverse().join("");
    const common = (a, names) => {
      let size = a.length;
      for (const b of names) while (!b.startsWith(a.slice(0, size))) size -= 1;
      return size;
    };
    const start = others.length ? common(first, others) : 0;
    const end = others.length ? common(mirror(first), others.map(mirror)) : 0;
    alike = [start > 3 ? start : 0, end > 3 ? end : 0];
  }
  const [start, end] = alike;
  if (start + end >= text.length) return [text, ""];
  const cut = (start ? "…" : "") + text.slice(start, text.length - end) + (end ? "…" : "");
  const [tail] = /[^A-Za-z0-9]?[A-Za-z0-9]*$/.exec(cut.slice(-9, -4)) ?? [""];
  const middle = cut.length - Math.min(cut.length, 4 + tail.length);
  return [cut.slice(0, middle), cut.slice(middle)];
}

// Thumbnails are asked for when the list comes to rest, and kept while it stays near.
const thumbnails = new Map();
let resting;
function thumbnail(film) {
  if (!thumbnails.has(film)) {
    if (thumbnails.size > 200) thumbnails.clear();
    const picture = document.createElement("img");
    Object.assign(picture, { alt: "", className: "thumb", decoding: "async" });
    thumbnails.set(film, picture);
  }
  clearTimeout(resting);
  resting = setTimeout(() => {
    for (const [number, picture] of thumbnails) {
      if (picture.isConnected && !picture.src) picture.src = `cases/films/${number}.jpg`;
    }
  }, 150);
  return thumbnails.get(film);
}

function row(place) {
  const film = shown[place], metric = sortMetric();
  const value = metric < 0 ? null : metricValue(metric, film);
  const element = document.createElement("div");
  element.id = `case-${film + 1}`;
  element.className = "row";
  element.setAttribute("role", "option");
  element.setAttribute("aria-setsize", shown.length);
  element.setAttribute("aria-posinset", place + 1);
  element.setAttribute("aria-selected", String(film + 1) === state.film);
  element.style.top = `${place * ROW}px`;
  element.title = nameOf(film);
  if (index.films) element.append(thumbnail(film));
  const who = textOf("span", "", "who"), [head, tail] = cutName(film);
  who.append(textOf("span", head, "start"), textOf("span", tail, "end"));
  const number = textOf("span", metric < 0 ? "" : value === null ? "–" : digits(value), "value");
  if ([view.before, view.after].some((shard) => flatness(shard, film))) {
    const mark = textOf("abbr", "≈", "flat");
    mark.title = "a map is nearly flat";
    number.prepend(mark);
  }
  element.append(who, textOf("span", classOf(index.labels[film]), "what"), number);
  element.addEventListener("click", () => select(place));
  return element;
}

// Only the rows in sight exist: thousands of cases scroll like a handful.
let drawn = "";
function drawList(force = false) {
  const list = $("list");
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 5);
  const last = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + 5);
  if (!force && drawn === `${first}-${last}`) return;
  drawn = `${first}-${last}`;
  $("rows").style.height = `${shown.length * ROW}px`;
  const rows = [];
  for (let place = first; place < last; place += 1) rows.push(row(place));
  $("rows").replaceChildren(...rows);
  $("empty").hidden = shown.length > 0;
  list.hidden = !shown.length;
  const here = $(`case-${state.film}`);
  if (here) list.setAttribute("aria-activedescendant", here.id);
  else list.removeAttribute("aria-activedescendant");
}

function select(place) {
  if (!shown.length) return;
  const safe = Math.min(shown.length - 1, Math.max(0, place));
  state.film = String(shown[safe] + 1);
  reveal(safe);
  drawList(true);
  drawCase();
}

function reveal(place) {
  const list = $("list"), above = place * ROW;
  if (above < list.scrollTop) list.scrollTop = above;
  else if (above + ROW > list.scrollTop + list.clientHeight) {
    list.scrollTop = above + ROW - list.clientHeight;
  }
}

const step = (by) => select(shown.indexOf(Number(state.film) - 1) + by);

function saveList() {
  const heads = ["film", "name", "class", "outcome", "common_support"];
  const sides = ["before", "after"].flatMap((side) =>
    [`probability_${side}`, `predicted_${side}`, `nearly_flat_${side}`]);
  const metrics = view.known.map((metric) => index.metrics[metric][0]);
  const rows = shown.map((film) => [
    film + 1, nameOf(film), index.classes[index.labels[film]], stratumOf(film), index.common[film],
    ...[view.before, view.after].flatMap((shard) => [
      shard.probability[film], index.classes[shard.predicted[film]],
      flatness(shard, film) ? 1 : 0,
    ]),
    ...view.known.map((metric) => metricValue(metric, film)?.toFixed(6) ?? ""),
  ]);
  saveCsv("cases", [[...heads, ...sides, ...metrics], ...rows]);
}
