// The page: shows what the server can do, sends pictures, two at a time, and shows them before and after.
"use strict";

const $ = (selector, root = document) => root.querySelector(selector);
const settings = $("#settings");
const queue = [];
let models = [], limits = {}, busy = 0, done = 0, failed = 0, total = 0;

const bytes = (count) => count < 1e6 ? `${Math.max(1, Math.round(count / 1e3))} KB` : `${Number((count / 1e6).toFixed(1))} MB`;
const model = () => models.find((one) => one.name === settings.model.value) || models[0];

function fill(select, values, labels = values) {
  const before = select.value;
  select.replaceChildren(...values.map((value, index) => new Option(labels[index], value)));
  if (values.includes(before)) select.value = before;
}

function showModel() {
  const { to, checkpoints, checkpoint, trained } = model();
  const attributes = to.filter((one) => one.attribute), domains = to.filter((one) => !one.attribute);
  const names = domains.map((one) => one.name);
  fill(settings.to, attributes.length && names.length ? ["", ...names] : names,
       attributes.length && names.length ? ["(as below)", ...names] : names);
  $("#to-choice").hidden = !names.length;
  $("#attributes").hidden = !attributes.length;
  $("#attributes").replaceChildren($("#attributes legend"), ...attributes.map((one) => attribute(one.name)));
  const words = checkpoints.map((one) => Number(one) ? `step ${Number(one).toLocaleString("en")}` : one);
  fill(settings.checkpoint, checkpoints, words);
  settings.checkpoint.value = checkpoint;
  $("option[value=trained]", settings.scale).disabled = !trained;
  if (!trained && settings.scale.value === "trained") settings.scale.value = "auto";
  showAbout();
}

function attribute(name) {
  const label = document.createElement("label"), select = document.createElement("select");
  label.append(name, select);
  select.dataset.attribute = name;
  fill(select, ["", name, `-${name}`], ["as it is", "yes", "no"]);
  return label;
}

function showAbout() {
  const { to, trained } = model();
  const target = to.find((one) => one.name === settings.to.value) || to[0];
  $("#about").textContent = `Takes ${target.takes}, gives ${target.gives}.${trained ? ` Trained on ${trained}.` : ""}`;
  $("#pixels-choice").hidden = settings.scale.value !== "pixels";
}

function wish() {
  const chosen = [...document.querySelectorAll("[data-attribute]")].map((one) => one.value);
  const size = settings.scale.value === "pixels" ? settings.pixels.value : settings.scale.value;
  const fields = [["model", model().name], ["checkpoint", settings.checkpoint.value], ["size", size],
                  ["format", settings.format.value], ["previews", "true"]];
  for (const to of [settings.to.value, ...chosen]) fields.push(["to", to]);
  return fields.filter(([, value]) => value);
}

function tell() {
  const waiting = total - done - failed;
  const parts = [`${done} of ${total} translated`];
  if (failed) parts.push(`${failed} could not be`);
  if (waiting) parts.push(`${waiting} to go`);
  $("#state").textContent = total ? `${parts.join(", ")}.` : "";
}

function add(files) {
  const newest = $("#pictures").firstChild;
  for (const file of files) {
    const card = $("#picture").content.firstElementChild.cloneNode(true);
    $("h2", card).textContent = file.name || "pasted picture";
    $("#pictures").insertBefore(card, newest);
    const one = { file, card, state: "", urls: [] };
    $(".remove", card).onclick = () => remove(one);
    $(".again", card).onclick = () => enqueue(one);
    $(".wipe input", card).oninput = ({ target }) => $(".wipe", card).style.setProperty("--at", `${target.value}%`);
    total += 1;
    enqueue(one);
  }
}

function become(one, state, text) {
  if (one.state === "done") done -= 1;
  if (one.state === "failed") failed -= 1;
  if (state === "done") done += 1;
  if (state === "failed") failed += 1;
  one.state = state;
  one.card.classList.toggle("failed", state === "failed");
  $(".progress", one.card).textContent = text;
  $(".progress", one.card).hidden = !text;
  tell();
}

function enqueue(one) {
  one.abort = new AbortController();
  one.wish = wish();
  $(".actions", one.card).hidden = true;
  if (limits.max_bytes && one.file.size > limits.max_bytes) {
    return fail(one, `The file has ${bytes(one.file.size)}; at most ${bytes(limits.max_bytes)} are taken.`);
  }
  become(one, "waiting", "waiting");
  queue.push(one);
  next();
}

function fail(one, sentence) {
  become(one, "failed", sentence.charAt(0).toUpperCase() + sentence.slice(1));
  $(".actions", one.card).hidden = false;
  $(".download", one.card).hidden = true;
}

function remove(one) {
  one.abort.abort();
  if (queue.includes(one)) queue.splice(queue.indexOf(one), 1);
  become(one, "", "");
  one.urls.forEach((url) => URL.revokeObjectURL(url));
  one.card.remove();
  total -= 1;
  tell();
}

async function next() {
  if (busy >= 2 || !queue.length) return;
  busy += 1;
  const one = queue.shift();
  try {
    become(one, "working", "translating …");
    await send(one);
  } catch (error) {
    if (error.name !== "AbortError") fail(one, "The server cannot be reached.");
  } finally {
    busy -= 1;
    next();
  }
}

async function send(one) {
  const form = new FormData();
  for (const [name, value] of one.wish) form.append(name, value);
  form.append("image", one.file, one.file.name || "picture");
  const answer = await fetch("api/convert", { method: "POST", body: form, signal: one.abort.signal });
  if (answer.status === 429) {
    become(one, "waiting", "many pictures are in line; waiting …");
    await new Promise((resolve) => setTimeout(resolve, 1000 * (answer.headers.get("Retry-After") || 2)));
    if (!one.abort.signal.aborted) queue.push(one);
    return;
  }
  if (!answer.ok) return fail(one, await reason(answer));
  show(one, await answer.formData(), answer.headers.get("Translate-Notes"));
}

async function reason(answer) {
  try {
    return `${(await answer.json()).error}.`;
  } catch {
    return `The server answered ${answer.status}.`;
  }
}

function show(one, parts, notes) {
  one.urls.forEach((url) => URL.revokeObjectURL(url));
  one.urls = ["before", "after", "image"].map((name) => URL.createObjectURL(parts.get(name)));
  const [before, after, image] = one.urls, { card } = one, name = $("h2", card).textContent;
  $(".above", card).src = before;
  $(".below", card).src = after;
  $(".above", card).alt = `${name}, before`;
  $(".below", card).alt = `${name}, after`;
  $(".wipe input", card).setAttribute("aria-label", `How much of ${name} is shown as it was before`);
  const link = $(".download", card), file = parts.get("image");
  link.href = image;
  link.download = file.name;
  link.textContent = `Download ${file.name} (${bytes(file.size)})`;
  link.hidden = false;
  const target = one.wish.filter(([field]) => field === "to").map(([, value]) => value.replace(/^-/, "not ")).join(", ");
  $(".notes", card).textContent = [target && `to ${target}`, notes].filter(Boolean).join("; ");
  $(".notes", card).hidden = !$(".notes", card).textContent;
  $(".wipe", card).hidden = $(".actions", card).hidden = false;
  become(one, "done", "");
}

async function begin() {
  const answer = await fetch("api/models");
  if (!answer.ok) return void ($("#state").textContent = await reason(answer));
  ({ models, limits } = await answer.json());
  fill(settings.model, models.map((one) => one.name));
  $("#model-choice").hidden = models.length < 2;
  $("#limits").textContent = `PNG, JPEG, WebP, TIFF, BMP or GIF, up to ${bytes(limits.max_bytes)} and ` +
    `${Math.round(limits.max_pixels / 1e6)} megapixels each`;
  showModel();
}

settings.onsubmit = (event) => event.preventDefault();
settings.onchange = ({ target }) => target === settings.model ? showModel() : showAbout();
$("#files").onchange = ({ target }) => { add(target.files); target.value = ""; };
document.onpaste = ({ clipboardData }) => add(clipboardData.files);
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    $("#drop").classList.toggle("over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop") add(event.dataTransfer.files);
  });
}
begin().catch(() => { $("#state").textContent = "The server cannot be reached."; });
