// The case browser. It asks for the shards of data that it shows, draws maps on their native grid,
// and keeps its state in the address. All text goes through textContent.
"use strict";
(() => {
  const MISSING = 65535;
  const ROW = 40; // height of a row of the list in CSS pixels, as in report.css
  const $ = (id) => document.getElementById(id);
  const DEFAULTS = {
    architecture: "", pair: "", role: "", method: "", class: "", stratum: "", common: "",
    sort: "iou_top20", order: "up", film: "", fade: "50", opacity: "", contrast: "100",
    filmContrast: "100", colours: "viridis", smooth: "", outline: "1",
  };
  const FILTERS = new Set(
    ["architecture", "pair", "role", "method", "class", "stratum", "common", "sort", "order"]);
  const CONTROLS = {
    architecture: "architecture", pair: "pair", role: "role", method: "method", class: "class",
    stratum: "stratum", common: "common", sort: "sort", order: "order", fade: "fade",
    opacity: "opacity", contrast: "contrast", film: "filmContrast", colours: "colours",
    smooth: "smooth", outline: "outline",
  };
  let index, state, view, shown = [];

  // ---- data ---------------------------------------------------------------------------------

  const waiting = new Map(), loaded = new Map();
  window.receiveShard = (name, value) => waiting.get(name)(value);

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
    for (const key of ["maps", "blank", "values"]) {
      if (key in shard) shard[key] = await inflate(shard[key]);
    }
    if (shard.values) shard.values = new Uint16Array(shard.values.buffer);
    return shard;
  }

  const metricCode = (metric, film) => {
    const place = view.cell * index.metrics.length + metric;
    return view.numbers.values[place * index.labels.length + film];
  };

  function metricValue(metric, film) {
    const code = metricCode(metric, film);
    const [low, step] = view.numbers.scales[view.cell * index.metrics.length + metric];
    return code === MISSING ? null : low + step * code;
  }

  function mapOf(shard, film) {
    const size = view.height * view.width;
    const start = view.offset + film * size;
    return shard.maps.subarray(start, start + size);
  }

  // ---- state and address --------------------------------------------------------------------

  const pairName = ([pairing, before, after]) => `${pairing}~${before}~${after}`;
  const pairTitle = ([, before, after, title]) =>
    title === `${before} → ${after}` ? title : `${title} (${before} → ${after})`;
  const architectureOf = () => index.architectures.find((a) => a.name === state.architecture);

  function readAddress() {
    const given = new URLSearchParams(location.hash.slice(1));
    state = { ...DEFAULTS };
    for (const key of Object.keys(DEFAULTS)) if (given.has(key)) state[key] = given.get(key);
    settle();
  }

  const oneOf = (value, allowed, otherwise) => (allowed.includes(value) ? value : otherwise);
  const number = (value, low, high, otherwise) =>
    value !== "" && value >= low && value <= high ? String(Math.round(value)) : otherwise;

  // A view that the data do not have becomes the nearest that they do have.
  function settle() {
    const names = index.architectures.map((a) => a.name);
    state.architecture = oneOf(state.architecture, names, names[0]);
    const { pairs, cells } = architectureOf();
    state.pair = oneOf(state.pair, pairs.map(pairName), pairName(pairs[0]));
    const roles = [...new Set(cells.map((cell) => cell[0]))];
    state.role = oneOf(state.role, roles, roles[roles.length - 1]);
    const methods = cells.filter((cell) => cell[0] === state.role).map((cell) => cell[1]);
    state.method = oneOf(state.method, methods, methods[0]);
    state.class = oneOf(state.class, index.classes.map((_, i) => String(i)), "");
    state.stratum = oneOf(state.stratum, index.strata, "");
    const metrics = index.metrics.map((metric) => metric[0]);
    state.sort = oneOf(state.sort, [...metrics, "film"], metrics[0] ?? "film");
    state.order = oneOf(state.order, ["up", "down"], "up");
    state.film = number(state.film, 1, index.labels.length, "");
    state.fade = number(state.fade, 0, 100, "50");
    state.opacity = number(state.opacity, 0, 100, index.films ? "60" : "100");
    state.contrast = number(state.contrast, 20, 400, "100");
    state.filmContrast = number(state.filmContrast, 40, 240, "100");
    const maps = Object.keys(index.colours).filter((name) => name !== "PuOr");
    state.colours = oneOf(state.colours, maps, maps[0]);
    for (const key of ["common", "smooth", "outline"]) state[key] = state[key] ? "1" : "";
  }

  let pending;
  function writeAddress() {
    clearTimeout(pending);
    pending = setTimeout(() => {
      const words = new URLSearchParams();
      for (const [key, value] of Object.entries(state)) {
        if (value !== DEFAULTS[key]) words.set(key, value);
      }
      history.replaceState(null, "", `#${words}`);
    }, 120);
  }

  // ---- controls -----------------------------------------------------------------------------

  function options(select, entries) {
    select.replaceChildren(...entries.map(([value, text]) => {
      const option = document.createElement("option");
      option.value = value;
      option.textContent = text;
      return option;
    }));
  }

  const spaced = (name) => name.replaceAll("_", " ");

  function fillControls() {
    const { pairs, cells } = architectureOf();
    options($("architecture"), index.architectures.map((a) => [a.name, a.title]));
    options($("pair"), pairs.map((p) => [pairName(p), pairTitle(p)]));
    options($("role"), [...new Set(cells.map((cell) => cell[0]))].map((role) => [role, role]));
    options($("method"), cells.filter((cell) => cell[0] === state.role)
      .map((cell) => [cell[1], index.methods[cell[1]] ?? cell[1]]));
    options($("class"), [["", "all"], ...index.classes.map((name, i) => [i, spaced(name)])]);
    options($("stratum"), [["", "all"], ...index.strata.map((name) => [name, name])]);
    options($("sort"), [...index.metrics, ["film", "Number of the film"]]);
    options($("colours"), Object.keys(index.colours).filter((name) => name !== "PuOr")
      .map((name) => [name, name]));
    $("outline-field").hidden = !index.outlines.length;
    for (const [id, key] of Object.entries(CONTROLS)) {
      const control = $(id);
      if (control.type === "checkbox") control.checked = state[key] === "1";
      else control.value = state[key];
    }
  }

  function change(key, value) {
    state[key] = value;
    if (FILTERS.has(key)) refresh(key === "sort" || key === "order");
    else drawCase();
  }

  // ---- list ---------------------------------------------------------------------------------

  let asked = 0;
  async function refresh(toTop = false) {
    settle();
    fillControls();
    const mine = ++asked;
    const facts = architectureOf();
    const pair = facts.pairs.find((p) => pairName(p) === state.pair);
    const shards = [facts.checkpoints[pair[1]], facts.checkpoints[pair[2]], pair[4]];
    let before, after, numbers;
    try {
      [before, after, numbers] = await Promise.all(shards.map((n) => load(`shard-${n}`)));
    } catch (error) {
      return fail(error);
    }
    if (mine !== asked) return; // another view was asked for in the meantime
    const cell = facts.cells.findIndex(([r, m]) => r === state.role && m === state.method);
    const films = index.labels.length;
    const offset = facts.cells.slice(0, cell).reduce((sum, [, , h, w]) => sum + h * w * films, 0);
    const [, , height, width] = facts.cells[cell];
    view = { before, after, numbers, cell, offset, height, width, pair };
    choose();
    if (toTop) $("list").scrollTop = 0;
    drawList(true);
    drawCase();
  }

  function choose() {
    const stratum = index.strata.indexOf(state.stratum);
    const metric = index.metrics.findIndex(([name]) => name === state.sort);
    const sign = state.order === "up" ? 1 : -1;
    const all = index.labels.map((_, film) => film);
    shown = all.filter((film) =>
      (state.class === "" || index.labels[film] === Number(state.class)) &&
      (stratum < 0 || view.numbers.strata[film] === stratum) &&
      (state.common === "" || index.common[film]));
    const code = (film) => (metric < 0 ? film : metricCode(metric, film));
    shown.sort((a, b) => { // what has no value goes last, whatever the order
      const [x, y] = [code(a), code(b)];
      const missing = metric < 0 ? 0 : (x === MISSING) - (y === MISSING);
      return missing || sign * (x - y) || a - b;
    });
    if (!shown.includes(Number(state.film) - 1)) {
      state.film = shown.length ? String(shown[0] + 1) : state.film;
    }
    $("count").textContent = `${shown.length} of ${all.length} films`;
  }

  function textOf(tag, text, kind) {
    const element = document.createElement(tag);
    element.textContent = text;
    if (kind) element.className = kind;
    return element;
  }

  const digits = (value) => value.toFixed(3).replace("-", "−");
  const nameOf = (film) => index.names[film] ?? `film ${film + 1}`;

  function row(place) {
    const film = shown[place];
    const metric = index.metrics.findIndex(([name]) => name === state.sort);
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
    element.append(
      textOf("span", nameOf(film), "who"),
      textOf("span", spaced(index.classes[index.labels[film]]), "what"),
      textOf("span", metric < 0 ? "" : value === null ? "–" : digits(value), "value"));
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
    if (!shown.length) rows.push(textOf("p", "No film matches: widen the filters.", "empty"));
    $("rows").replaceChildren(...rows);
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
    const list = $("list");
    const top = place * ROW;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + ROW > list.scrollTop + list.clientHeight) {
      list.scrollTop = top + ROW - list.clientHeight;
    }
  }

  const step = (by) => select(shown.indexOf(Number(state.film) - 1) + by);

  // ---- one case -----------------------------------------------------------------------------

  const tables = new Map();
  function colours(name) {
    if (!tables.has(name)) tables.set(name, bytesOf(index.colours[name]));
    return tables.get(name);
  }

  // `values` are 0 to 1; `middle` is for a scale that runs both ways from its middle.
  function paint(canvas, values, width, height, name, middle) {
    const table = colours(name), power = 100 / Number(state.contrast);
    const image = new ImageData(width, height);
    values.forEach((value, i) => {
      let x = Math.min(1, Math.max(0, value));
      if (middle) x = 0.5 + 0.5 * Math.sign(x - 0.5) * Math.abs(2 * x - 1) ** power;
      else x **= power;
      const place = 3 * Math.round(255 * x);
      image.data.set([table[place], table[place + 1], table[place + 2], 255], 4 * i);
    });
    canvas.width = width;
    canvas.height = height;
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  function panel(name, values, middle, reason) {
    const box = $(`panel-${name}`), canvas = box.querySelector(".map");
    const blank = box.querySelector(".blank");
    blank.hidden = values !== null;
    canvas.hidden = values === null;
    blank.textContent = reason;
    if (values) {
      paint(canvas, values, view.width, view.height, middle ? "PuOr" : state.colours, middle);
      canvas.style.opacity = Number(state.opacity) / 100;
      canvas.classList.toggle("smooth", state.smooth === "1");
    }
  }

  function ground(film) {
    const polygons = state.outline === "1" ? index.outlines[film] ?? [] : [];
    for (const box of document.querySelectorAll(".panel")) {
      const picture = box.querySelector(".film");
      picture.hidden = !index.films;
      if (index.films) {
        const address = `cases/films/${film}.jpg`;
        if (picture.getAttribute("src") !== address) picture.src = address;
        picture.style.filter = `contrast(${state.filmContrast}%)`;
      }
      box.querySelector(".outline").replaceChildren(...polygons.map((points) => {
        const shape = document.createElementNS("http://www.w3.org/2000/svg", "polygon");
        shape.setAttribute("points", points.join(" "));
        return shape;
      }));
    }
  }

  function drawCase() {
    writeAddress();
    $("viewer").classList.toggle("none", !shown.length);
    if (!shown.length) return;
    const film = Number(state.film) - 1;
    const sides = [view.before, view.after];
    const maps = sides.map((shard) => mapOf(shard, film));
    const scaled = maps.map((map) => (map.some((v) => v) ? Array.from(map, (v) => v / 255) : null));
    const [a, b] = scaled;
    ground(film);
    panel("before", a, false, "blank");
    panel("after", b, false, "blank");
    const t = Number(state.fade) / 100, zeros = Array(maps[0].length).fill(0);
    const mixed = a || b ? (a ?? zeros).map((v, i) => (1 - t) * v + t * (b ?? zeros)[i]) : null;
    panel("fade", mixed, false, "both maps are blank");
    drawDifference(a, b);
    paint($("scale"), Array.from({ length: 256 }, (_, i) => i / 255), 256, 1, state.colours);
    drawNumbers(film, sides);
  }

  function drawDifference(a, b) {
    let values = null;
    $("range").textContent = "";
    if (a && b) {
      const [p, q] = [a, b].map((map) => {
        const sum = map.reduce((x, y) => x + y, 0);
        return map.map((v) => v / sum);
      });
      const change = q.map((v, i) => v - p[i]);
      const most = Math.max(...change.map(Math.abs));
      values = change.map((v) => (most ? 0.5 + v / (2 * most) : 0.5));
      $("range").textContent = `−${most.toFixed(3)} to +${most.toFixed(3)} of the map's mass`;
    }
    panel("difference", values, true, "no difference: a map is blank");
    paint($("scale-difference"), Array.from({ length: 256 }, (_, i) => i / 255), 256, 1, "PuOr", true);
  }

  function drawNumbers(film, sides) {
    const [, before, after] = view.pair;
    const place = shown.indexOf(film) + 1;
    const stratum = index.strata[view.numbers.strata[film]] ?? "outcome unknown";
    const common = index.common[film] ? "in the common support" : "not in the common support";
    $("name").textContent = nameOf(film);
    $("facts").textContent =
      `${spaced(index.classes[index.labels[film]])} · ${stratum} · ${common} · ${place} of ${shown.length}`;
    for (const [id, text] of [["before-name", before], ["after-name", after]]) {
      $(id).textContent = text;
    }
    const captions = [["before", "Before", before], ["after", "After", after]];
    for (const [side, word, name] of captions) { // those of an audit are called so already
      $(`panel-${side}`).querySelector("figcaption").textContent =
        name === side ? word : `${word}: ${name}`;
    }
    ["before", "after"].forEach((side, i) => {
      $(`p-${side}`).textContent = sides[i].probability[film].toFixed(3);
      $(`c-${side}`).textContent = spaced(index.classes[sides[i].predicted[film]]);
    });
    const code = view.numbers.blank[view.cell * index.labels.length + film];
    const reason = view.numbers.reasons[code];
    $("metrics").tBodies[0].replaceChildren(...index.metrics.map(([, title], metric) => {
      const line = document.createElement("tr"), head = textOf("th", title);
      head.scope = "row";
      const value = metricValue(metric, film);
      const absent = reason ? "blank" : "not computed";
      line.append(head, textOf("td", value === null ? absent : digits(value)));
      return line;
    }));
  }

  function fail(error) {
    $("failure").textContent = error.message;
    $("failure").hidden = false;
    $("count").textContent = "";
  }

  // ---- events -------------------------------------------------------------------------------

  function listen() {
    for (const [id, key] of Object.entries(CONTROLS)) {
      const control = $(id);
      control.addEventListener("input", () => {
        change(key, control.type === "checkbox" ? (control.checked ? "1" : "") : control.value);
      });
    }
    $("previous").addEventListener("click", () => step(-1));
    $("next").addEventListener("click", () => step(1));
    $("list").addEventListener("scroll", () => requestAnimationFrame(() => drawList()));
    window.addEventListener("resize", () => drawList());
    window.addEventListener("hashchange", () => { readAddress(); refresh(); });
    document.addEventListener("keydown", key);
    swipe($("viewer").querySelector(".panels"));
  }

  function key(event) {
    const busy = event.target.closest("select, input, summary") || event.altKey || event.ctrlKey || event.metaKey;
    if (busy) return;
    const fade = (by) => {
      const value = Math.min(100, Math.max(0, Number(state.fade) + by));
      $("fade").value = value;
      change("fade", String(value));
    };
    const actions = {
      ArrowUp: () => step(-1), ArrowDown: () => step(1),
      Home: () => select(0), End: () => select(shown.length - 1),
      ArrowLeft: () => fade(-10), ArrowRight: () => fade(10),
      o: () => $("outline").click(), O: () => $("outline").click(),
    };
    if (event.key in actions) {
      event.preventDefault();
      actions[event.key]();
    }
  }

  function swipe(element) {
    let start = null;
    element.addEventListener("touchstart", (event) => {
      const touch = event.touches[0];
      start = event.target.matches("input") || event.touches.length > 1 ? null : touch;
    }, { passive: true });
    element.addEventListener("touchend", (event) => {
      if (!start) return;
      const end = event.changedTouches[0];
      const x = end.clientX - start.clientX, y = end.clientY - start.clientY;
      if (Math.abs(x) > 50 && Math.abs(y) < 40) step(x < 0 ? 1 : -1);
      start = null;
    });
  }

  document.addEventListener("DOMContentLoaded", async () => {
    if (matchMedia("(max-width: 50rem)").matches) $("choices").open = false;
    try {
      index = await load("index");
      readAddress();
      listen();
      await refresh();
      const place = shown.indexOf(Number(state.film) - 1);
      if (place > 0) { reveal(place); drawList(true); }
      document.body.dataset.ready = "true";
    } catch (error) {
      fail(error);
    }
  });
})();
