// The case browser: its state, which is its address, its controls, keys and touch. All text goes
// through textContent.
"use strict";
const DEFAULTS = {
  architecture: "", pair: "", role: "", method: "", class: "", stratum: "", common: "", search: "",
  sort: "iou_top20", order: "most", from: "0", to: String(BINS), film: "", fade: "50", opacity: "",
  contrast: "100", filmContrast: "100", colours: "viridis", smooth: "0", outline: "1",
  strongest: "1",
};
const VIEW = new Set(["architecture", "pair", "role", "method", "sort"]);
const FILTERS = new Set([...VIEW, "class", "stratum", "common", "search", "order", "from", "to"]);
const CONTROLS = {
  architecture: "architecture", pair: "pair", role: "role", method: "method", class: "class",
  stratum: "stratum", common: "common", search: "search", sort: "sort", order: "order",
  "range-from": "from", "range-to": "to", fade: "fade", opacity: "opacity", contrast: "contrast",
  film: "filmContrast", colours: "colours", smooth: "smooth", outline: "outline",
  strongest: "strongest",
};

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  state = { ...DEFAULTS };
  for (const key of Object.keys(DEFAULTS)) if (given.has(key)) state[key] = given.get(key);
  // Who names a film and no support wants to see that film.
  if (!given.has("common") && index.common[Number(state.film) - 1] === 0) state.common = "0";
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
  state.order = oneOf(state.order, ["most", "least"], "most");
  state.from = number(state.from, 0, BINS - 1, "0");
  state.to = number(state.to, Number(state.from) + 1, BINS, String(BINS));
  state.film = number(state.film, 1, index.labels.length, "");
  state.fade = number(state.fade, 0, 100, "50");
  state.opacity = number(state.opacity, 0, 100, index.films ? "60" : "100");
  state.contrast = number(state.contrast, 20, 400, "100");
  state.filmContrast = number(state.filmContrast, 40, 240, "100");
  const maps = Object.keys(index.colours).filter((name) => name !== "PuOr");
  state.colours = oneOf(state.colours, maps, maps[0]);
  for (const key of ["smooth", "outline", "strongest"]) {
    state[key] = oneOf(state[key], ["0", "1"], DEFAULTS[key]);
  }
  const supported = index.common.some(Boolean);
  state.common = supported ? oneOf(state.common, ["0", "1"], "1") : "0";
}

function addressNow() {
  const words = new URLSearchParams();
  for (const [key, value] of Object.entries(state)) {
    if (value !== DEFAULTS[key]) words.set(key, value);
  }
  history.replaceState(null, "", `#${words}`);
}

let pending;
function writeAddress() {
  clearTimeout(pending);
  pending = setTimeout(addressNow, 120);
}

// Controls

function options(control, entries) {
  control.replaceChildren(...entries.map(([value, text]) => {
    const option = textOf("option", text);
    option.value = value;
    return option;
  }));
}

function pairTitle([, before, after, title]) {
  return title === `${before} → ${after}` ? title : `${title} (${before} → ${after})`;
}

function fillControls() {
  const { pairs, cells } = architectureOf();
  options($("architecture"), index.architectures.map((a) => [a.name, a.title]));
  options($("pair"), pairs.map((p) => [pairName(p), pairTitle(p)]));
  options($("role"), [...new Set(cells.map((cell) => cell[0]))].map((role) => [role, role]));
  options($("method"), cells.filter((cell) => cell[0] === state.role)
    .map((cell) => [cell[1], index.methods[cell[1]] ?? cell[1]]));
  options($("class"), [["", "all"], ...index.classes.map((name, i) => [i, spaced(name)])]);
  options($("stratum"), [["", "all"], ...index.strata.map((name) => [name, name])]);
  options($("sort"), [...view.known.map((metric) => index.metrics[metric].slice(0, 2)),
    ["film", "Number of the film"]]);
  const words = state.sort === "film" ? ["lowest number", "highest number"] :
    ["most drifted", "least drifted"];
  options($("order"), [["most", words[0]], ["least", words[1]]]);
  options($("colours"), Object.keys(index.colours).filter((name) => name !== "PuOr")
    .map((name) => [name, name]));
  $("outline-field").hidden = !Object.keys(index.outlines).length;
  $("common-field").hidden = !index.common.some(Boolean);
  for (const [id, key] of Object.entries(CONTROLS)) {
    const control = $(id);
    if (control.type === "checkbox") control.checked = state[key] === "1";
    else if (control.value !== state[key]) control.value = state[key];
  }
}

function change(key, value) {
  state[key] = value;
  if (key === "from") state.to = String(Math.max(Number(state.to), Number(value) + 1));
  if (key === "to") state.from = String(Math.min(Number(state.from), Number(value) - 1));
  if (VIEW.has(key)) [state.from, state.to] = [DEFAULTS.from, DEFAULTS.to];
  const first = key === "sort" || key === "order";
  if (first) state.film = "";
  if (FILTERS.has(key)) refresh(first);
  else drawCase();
}

let asked = 0;
async function refresh(toTop = false) {
  settle();
  const mine = ++asked;
  const sign = setTimeout(() => { $("count").textContent = "loading …"; }, 200);
  let opened;
  try {
    opened = await openView();
  } catch (error) {
    return fail(error);
  } finally {
    clearTimeout(sign);
  }
  if (mine !== asked) return; // another view was asked for in the meantime
  view = opened;
  const all = index.labels.map((_, film) => film);
  view.known = knownMetrics(state.common === "0" ? all : all.filter((f) => index.common[f]));
  const names = view.known.map((metric) => index.metrics[metric][0]);
  state.sort = oneOf(state.sort, [...names, "film"],
    oneOf(DEFAULTS.sort, names, names[0] ?? "film"));
  fillControls();
  choose();
  if (toTop) $("list").scrollTop = 0;
  drawList(true);
  drawCase();
}

function reset() {
  for (const key of ["class", "stratum", "search", "from", "to"]) state[key] = DEFAULTS[key];
  refresh(true);
  $("list").hidden = false;
  $("list").focus();
}

function fail(error) {
  $("failure").textContent = error.message;
  $("failure").hidden = false;
  $("count").textContent = "";
}

async function copyLink() {
  addressNow();
  try {
    await navigator.clipboard.writeText(location.href);
    $("copied").textContent = "copied";
  } catch {
    $("copied").textContent = "not allowed here: copy the address of the page";
  }
  setTimeout(() => { $("copied").textContent = ""; }, 4000);
}

// Keys, pointer and touch

function listen() {
  for (const [id, key] of Object.entries(CONTROLS)) {
    const control = $(id);
    control.addEventListener("input", () => {
      change(key, control.type === "checkbox" ? String(Number(control.checked)) : control.value);
    });
  }
  const clicks = {
    previous: () => step(-1), next: () => step(1), reset, link: copyLink, csv: saveList,
  };
  for (const [id, act] of Object.entries(clicks)) $(id).addEventListener("click", act);
  $("histogram").addEventListener("click", chooseBar);
  $("list").addEventListener("scroll", () => requestAnimationFrame(() => drawList()));
  window.addEventListener("resize", () => drawList());
  window.addEventListener("hashchange", () => { readAddress(); refresh(); });
  document.addEventListener("keydown", press);
  document.addEventListener("keyup", (event) => release(event.key.toLowerCase()));
  window.addEventListener("blur", () => { release("f"); release("c"); });
  const panels = $("viewer").querySelector(".panels");
  panels.addEventListener("pointermove", point);
  panels.addEventListener("pointerdown", point);
  panels.addEventListener("pointerleave", () => point());
  panels.addEventListener("click", (event) => {
    if (event.target.closest(".stage, .enlarge")) enlarge(event.target.closest(".panel"));
  });
  for (const [id, name] of [["alone", "f"], ["compare", "c"]]) {
    $(id).addEventListener("pointerdown", () => hold(name));
    for (const end of ["pointerup", "pointerleave", "pointercancel"]) {
      $(id).addEventListener(end, () => release(name));
    }
    $(id).addEventListener("keydown", (event) => {
      if ([" ", "Enter"].includes(event.key)) hold(name);
    });
    $(id).addEventListener("keyup", () => release(name));
    $(id).addEventListener("contextmenu", (event) => event.preventDefault()); // a long touch
  }
  swipe(panels);
}

// Held down: "f" shows the film alone, "c" the other end of the fade.
let faded = null;
function hold(name) {
  if (name === "f") $("viewer").classList.add("alone");
  if (name === "c" && faded === null) {
    faded = state.fade;
    fadeTo(Number(faded) < 100 ? 100 : 0);
  }
}

function release(name) {
  if (name === "f") $("viewer").classList.remove("alone");
  if (name === "c" && faded !== null) {
    fadeTo(Number(faded));
    faded = null;
  }
}

function fadeTo(value) {
  $("fade").value = Math.min(100, Math.max(0, value));
  change("fade", $("fade").value);
}

// ↑ and ↓ always change the case; other keys belong to the control that has the focus.
function isOpen(control) {
  try {
    return control.matches("select:open");
  } catch { // a browser that cannot tell
    return false;
  }
}

function press(event) {
  const target = event.target;
  if (event.altKey || event.ctrlKey || event.metaKey || isOpen(target)) return;
  const walks = { ArrowUp: () => step(-1), ArrowDown: () => step(1) };
  const others = {
    Home: () => select(0), End: () => select(shown.length - 1),
    ArrowLeft: () => fadeTo(Number(state.fade) - 10),
    ArrowRight: () => fadeTo(Number(state.fade) + 10),
    o: () => $("outline").click(), s: () => $("strongest").click(),
    e: () => enlarge($("panel-fade")), f: () => hold("f"), c: () => hold("c"),
    escape: () => enlarge(document.querySelector(".panel.large")),
  };
  const busy = target.closest("select, input, summary");
  const name = event.key.length === 1 || event.key === "Escape" ? event.key.toLowerCase() : event.key;
  const act = walks[name] ?? (busy ? undefined : others[name]);
  if (!act) return;
  event.preventDefault();
  act();
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
  if (matchMedia("(max-width: 50rem), (max-height: 34rem)").matches) $("choices").open = false;
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
