// Grids of samples over time: two columns laid over each other, all columns side by side, or the whole grid.
"use strict";

const MOST_GRIDS = 40;
const grids = new Map();  // address with version -> promise of { image, places }
let samples = [], owner = "", wanted = 0, timer = 0, current = null;
const chosen = { before: "", after: "", row: "" };

function grid(step, version) {
  const address = `api/runs/${owner}/samples/${step}`, key = `${address}?${version}`;
  if (!grids.has(key)) {
    if (grids.size >= MOST_GRIDS) grids.delete(grids.keys().next().value);
    grids.set(key, load(step, address));
  }
  return grids.get(key);
}

async function load(step, address) {
  const image = new Image(), placing = fetch(address.replace("samples", "places"));
  image.src = address;
  await image.decode();
  const places = await placing;
  return { image, places: places.ok ? await places.json() : null, step };
}

function showSamples(run, found) {
  const slider = $("#when"), newest = run !== owner || slider.value === slider.max;
  const step = samples[slider.value]?.[0];
  if (run !== owner) { stopPlaying(); grids.clear(); current = null; }
  [owner, samples] = [run, found];
  $("#samples").hidden = !samples.length;
  if (!samples.length) return;
  slider.max = samples.length - 1;
  slider.value = newest ? slider.max : Math.max(0, samples.findIndex((one) => one[0] === step));
  $("#time").hidden = samples.length < 2;
  moveTo();
}

async function moveTo() {
  const mine = wanted += 1, [step, version] = samples[$("#when").value];
  $("#at").textContent = `step ${step.toLocaleString("en")}`;
  $("#when").setAttribute("aria-valuetext", $("#at").textContent);
  try {
    const found = await grid(step, version);
    if (mine !== wanted) return;
    $("#unread").hidden = true;
    current = found;
    lay();
  } catch {
    grids.delete(`api/runs/${owner}/samples/${step}?${version}`);
    if (mine === wanted) { $("#unread").hidden = false; $("#shown").replaceChildren(); }
  }
}

function options(select, values, labels, fallback) {
  const before = chosen[select.id];
  select.replaceChildren(...values.map((value, index) => new Option(labels[index], value)));
  select.value = values.includes(before) ? before : fallback;
}

// The first column is an input, and the second mostly its translation.
function lay() {
  const { image, places, step } = current, mode = places ? $("#mode").value : "grid", box = $("#shown");
  for (const one of $("#mode").options) one.disabled = one.value !== "grid" && !places;
  for (const one of document.querySelectorAll(".for-wipe")) one.hidden = mode !== "wipe" || places.columns.length < 2;
  for (const one of document.querySelectorAll(".for-row")) one.hidden = mode === "grid" || places.boxes.length < 2;
  if (mode === "grid") {
    const whole = image.cloneNode();
    whole.alt = `samples at step ${step}`;
    box.className = "whole";
    box.replaceChildren(whole);
    whole.style.width = `min(100%, ${Math.max(image.naturalWidth, Math.min(900, image.naturalWidth * 2))}px)`;
    whole.classList.toggle("sharp", image.naturalWidth < 450);
    return;
  }
  const { columns, rows, boxes } = places, indices = columns.map((_, index) => String(index));
  options($("#before"), indices, columns, "0");
  options($("#after"), indices, columns, columns.length > 1 ? "1" : "0");
  options($("#row"), ["", ...boxes.map((_, index) => String(index))], ["all", ...boxes.map((_, index) => rows[index] || String(index + 1))], "");
  const shown = $("#row").value === "" ? boxes.map((_, index) => index) : [Number($("#row").value)];
  const [before, after] = [Number($("#before").value), Number($("#after").value)];
  const wiping = mode === "wipe" && columns.length > 1;
  box.className = !wiping ? "pieces" : shown.length === 1 ? "single" : "tiles";
  if (wiping) return wipes(shown, before, after);
  const figures = shown.flatMap((row) => columns.map((column, index) => {
    const one = make("figure");
    one.append(make("figcaption", {}, column), piece(boxes[row][index], `${column}, row ${row + 1}, step ${step}`));
    return one;
  }));
  box.replaceChildren(...figures);
}

// Tiles stay while steps change, with their lines where they were drawn to.
function wipes(rows, before, after) {
  const { places: { columns, boxes }, step } = current, box = $("#shown");
  const name = rows.join() + before + after + columns;
  if (box.dataset.name !== name || !$(".wipe", box)) {
    box.dataset.name = name;
    box.replaceChildren(...rows.map((row) => {
      const tile = make("div", { class: "wipe" });
      const slider = make("input", { type: "range", min: 0, max: 100, value: 50, step: "any", "aria-label": `How much of row ${row + 1} is shown as ${columns[before]}` });
      slider.oninput = () => tile.style.setProperty("--at", `${slider.value}%`);
      tile.append(make("span", { class: "side" }, columns[before]), make("span", { class: "side" }, columns[after]), slider);
      return tile;
    }));
  }
  rows.forEach((row, index) => {
    const tile = box.children[index];
    for (const old of tile.querySelectorAll("canvas")) old.remove();
    const above = piece(boxes[row][before], `${columns[before]}, row ${row + 1}`);
    above.classList.add("above");
    tile.prepend(piece(boxes[row][after], `${columns[after]}, row ${row + 1}, step ${step}`), above);
  });
}

function piece([left, top, width, height], label) {
  const canvas = make("canvas", { role: "img", "aria-label": label });
  [canvas.width, canvas.height] = [width, height];
  canvas.getContext("2d").drawImage(current.image, left, top, width, height, 0, 0, width, height);
  canvas.classList.toggle("sharp", width < 200);
  return canvas;
}

function stopPlaying() {
  clearInterval(timer);
  timer = 0;
  $("#play").textContent = "\u25b6";
  $("#play").setAttribute("aria-label", "Play");
}

$("#play").onclick = () => {
  if (timer) return stopPlaying();
  const slider = $("#when");
  if (slider.value === slider.max) slider.value = 0;
  $("#play").textContent = "\u23f8";
  $("#play").setAttribute("aria-label", "Pause");
  moveTo();
  timer = setInterval(() => {
    if (slider.value === slider.max) return stopPlaying();
    slider.value = Number(slider.value) + 1;
    moveTo();
  }, 500);
};
$("#when").oninput = () => { stopPlaying(); moveTo(); };
$("#mode").onchange = () => { $("#shown").dataset.name = ""; if (current) lay(); };
for (const id of ["before", "after", "row"]) {
  $(`#${id}`).onchange = ({ target }) => { chosen[id] = target.value; if (current) lay(); };
}
