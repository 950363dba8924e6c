// One case: its maps over the film, as strong as their evidence, with outlines and numbers.
"use strict";
const tables = new Map();
function colours(name) {
  if (!tables.has(name)) tables.set(name, bytesOf(index.colours[name]));
  return tables.get(name);
}

// `values` are 0 to 1; `middle` is for a scale that runs both ways from its middle. The less
// evidence, the more of the film: nothing is painted where there is none.
function paint(canvas, values, width, height, middle) {
  const table = colours(middle ? "PuOr" : state.colours), power = 100 / Number(state.contrast);
  const image = new ImageData(width, height);
  values.forEach((value, i) => {
    const x = Math.min(1, Math.max(0, value));
    const evidence = (middle ? Math.abs(2 * x - 1) : x) ** power;
    const colour = middle ? 0.5 + 0.5 * Math.sign(x - 0.5) * evidence : evidence;
    const place = 3 * Math.round(255 * colour), alpha = 2.55 * Number(state.opacity) * evidence;
    image.data.set([table[place], table[place + 1], table[place + 2], alpha], 4 * i);
  });
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function panel(side, values, middle, reason) {
  const box = $(`panel-${side}`), canvas = box.querySelector(".map");
  const blank = box.querySelector(".blank");
  blank.hidden = values !== null;
  canvas.hidden = values === null;
  blank.textContent = reason;
  if (values) {
    paint(canvas, values, view.width, view.height, middle);
    canvas.classList.toggle("smooth", state.smooth === "1");
  }
}

// The border of the strongest cells as a path: every side of a cell whose neighbour is weaker.
function border(strong) {
  const { width, height } = view, x = 1000 / width, y = 1000 / height;
  const at = (i, j) => i >= 0 && j >= 0 && i < width && j < height && strong[j * width + i];
  const lines = [];
  strong.forEach((inside, place) => {
    if (!inside) return;
    const i = place % width, j = (place - i) / width;
    if (!at(i, j - 1)) lines.push(`M${i * x} ${j * y}h${x}`);
    if (!at(i, j + 1)) lines.push(`M${i * x} ${(j + 1) * y}h${x}`);
    if (!at(i - 1, j)) lines.push(`M${i * x} ${j * y}v${y}`);
    if (!at(i + 1, j)) lines.push(`M${(i + 1) * x} ${j * y}v${y}`);
  });
  return lines.join("");
}

function outlines(film, share) {
  const parts = state.outline === "1" ? Object.entries(index.outlines) : [];
  const borders = state.strongest !== "1" ? [] :
    [view.before, view.after].map((shard) => border(strongestOf(shard, film)));
  const sides = { before: [1, 0], after: [0, 1], fade: [1 - share, share], difference: [1, 1] };
  for (const [name, weights] of Object.entries(sides)) {
    const shapes = parts.flatMap(([part, films]) => (films[film] ?? []).map((points) =>
      shapeOf("polygon", { class: part, points: points.join(" ") })));
    borders.forEach((d, side) => {
      const both = name === "fade" || name === "difference";
      if (!d || !weights[side]) return;
      for (const kind of ["under", both && side === 0 ? "dashed" : ""]) {
        shapes.push(shapeOf("path", { class: `strong ${kind}`, d, opacity: weights[side] }));
      }
    });
    $(`panel-${name}`).querySelector(".outline").replaceChildren(...shapes);
  }
}

function ground(film) {
  for (const picture of document.querySelectorAll(".panel .film")) {
    picture.hidden = !index.films;
    if (!index.films) continue;
    const address = `cases/films/${film}.jpg`;
    if (picture.getAttribute("src") !== address) picture.src = address;
    picture.style.filter = `contrast(${state.filmContrast}%)`;
  }
}

function drawCase() {
  writeAddress();
  $("viewer").classList.toggle("none", !shown.length);
  $("under").textContent = "";
  if (!shown.length) return;
  const film = Number(state.film) - 1, sides = [view.before, view.after];
  const [a, b] = sides.map((shard) => mapOf(shard, film))
    .map((map) => (map.some((v) => v) ? Array.from(map, (v) => v / 255) : null));
  const zeros = Array(view.width * view.height).fill(0), share = Number(state.fade) / 100;
  const mixed = (a ?? b) && zeros.map((_, i) =>
    (1 - share) * (a ?? zeros)[i] + share * (b ?? zeros)[i]);
  view.cells = { a, b, change: a && b ? changes(a, b) : null };
  ground(film);
  panel("before", a, false, "blank");
  panel("after", b, false, "blank");
  panel("fade", mixed, false, "both maps are blank");
  drawDifference(view.cells.change);
  outlines(film, share);
  const run = Array.from({ length: 256 }, (_, i) => i / 255);
  paint($("scale"), run, 256, 1, false);
  paint($("scale-difference"), run, 256, 1, true);
  drawFacts(film);
  drawNumbers(film, sides);
}

// Difference of the shares of each map's mass.
function changes(a, b) {
  const [p, q] = [a, b].map((map) => {
    const sum = map.reduce((x, y) => x + y, 0);
    return map.map((v) => v / sum);
  });
  return q.map((v, i) => v - p[i]);
}

function drawDifference(change) {
  const most = change ? Math.max(...change.map(Math.abs)) : 0;
  const values = change && change.map((v) => (most ? 0.5 + v / (2 * most) : 0.5));
  $("range").textContent =
    change ? `−${most.toFixed(3)} to +${most.toFixed(3)} of the map's mass` : "";
  panel("difference", values, true, "no difference: a map is blank");
}

function drawFacts(film) {
  const [, before, after] = view.pair;
  const common = index.common[film] ? "in the common support" : "not in the common support";
  $("name").textContent = nameOf(film);
  $("facts").textContent = [classOf(index.labels[film]), stratumOf(film), common,
    `${shown.indexOf(film) + 1} of ${shown.length}`].join(" · ");
  $("where").textContent = [architectureOf().title, state.role,
    index.methods[state.method] ?? state.method, view.pair[3]].join(" · ");
  $("before-name").textContent = before;
  $("after-name").textContent = after;
  const captions = [["before", "Before", before], ["after", "After", after]];
  for (const [side, word, name] of captions) { // those of an audit are called so already
    $(`panel-${side}`).querySelector("figcaption").textContent =
      name === side ? word : `${word}: ${name}`;
  }
  const flat = captions.map(([side]) => [side, flatness(view[side], film)]).filter(([, x]) => x);
  $("flat").hidden = !flat.length;
  const told = flat.map(([side, x]) => `${Math.round(100 * x)} % (${side})`).join(" and ");
  $("flat").textContent = `Nearly flat: the weakest cell has ${told} of the strongest, so little ` +
    "decides which cells are among the strongest 20 %.";
}

function drawNumbers(film, sides) {
  ["before", "after"].forEach((side, i) => {
    $(`p-${side}`).textContent = sides[i].probability[film].toFixed(3);
    $(`c-${side}`).textContent = classOf(sides[i].predicted[film]);
  });
  const absent = reasonOf(film) ? "blank" : "not computed";
  $("metrics").tBodies[0].replaceChildren(...view.known.map((metric) => {
    const line = document.createElement("tr"), head = textOf("th", index.metrics[metric][1]);
    head.scope = "row";
    const value = metricValue(metric, film);
    line.append(head, textOf("td", value === null ? absent : digits(value)));
    return line;
  }));
}

// What lies under the pointer, in all panels at once.
function point(event) {
  for (const mark of document.querySelectorAll(".outline .cell")) mark.remove();
  $("under").textContent = "";
  const stage = event?.target.closest(".stage");
  if (!stage || !view?.cells) return;
  const box = stage.getBoundingClientRect(), { width, height, cells: { a, b, change } } = view;
  const i = Math.min(width - 1, Math.floor((event.clientX - box.left) / box.width * width));
  const j = Math.min(height - 1, Math.floor((event.clientY - box.top) / box.height * height));
  if (i < 0 || j < 0) return;
  const place = j * width + i, told = (map) => (map ? map[place].toFixed(2) : "blank");
  const share = change && Math.round(100 * change[place]);
  const moved = change ? `, ${share < 0 ? "−" : "+"}${Math.abs(share)} % of the mass` : "";
  $("under").textContent = `row ${j + 1}, column ${i + 1}: ${told(a)} before, ${told(b)} after ` +
    `(1 = the map's maximum)${moved}`;
  const [x, y] = [1000 / width, 1000 / height];
  for (const svg of document.querySelectorAll(".outline")) {
    svg.append(shapeOf("rect", { class: "cell", x: i * x, y: j * y, width: x, height: y }));
  }
}

function enlarge(box) {
  const large = document.querySelector(".panel.large");
  const opened = large === box ? null : box;
  for (const one of document.querySelectorAll(".panel")) {
    one.classList.toggle("large", one === opened);
    one.querySelector(".enlarge").setAttribute("aria-pressed", one === opened);
  }
  document.body.classList.toggle("enlarged", Boolean(opened));
}
