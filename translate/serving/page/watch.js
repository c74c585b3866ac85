// The page: listens to what has changed, and shows all runs, and the chosen one in detail.
"use strict";

const STATES = { starts: "starting", trains: "training", ended: "ended", early: "stopped early", stopped: "stopped",
                 failed: "failed", broken: "broke off", unknown: "not training" };
const WORDS = { broken: "The process ended without a word: it was killed, or the machine went down. --resume continues from the last checkpoint.",
                early: "Training ended before its last step, as training.patience had run out." };
const runs = new Map();
const cards = new Map();
let order = [], details = null, curves = new Map(), stale = new Set(), source = null, run = "", measure = "", sure = 0;

const count = (value) => value.toLocaleString("en");
const gigabytes = (bytes) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

function clock(seconds) {
  const all = Math.round(seconds), two = (value) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(all / 3600), Math.floor(all / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(all % 60)}` : `${minutes}:${two(all % 60)}`;
}

function connect() {
  source?.close();
  source = new EventSource(`api/events?${new URLSearchParams({ run, measure })}`);
  source.onopen = () => tell("live", "live");
  source.onmessage = ({ data }) => take(JSON.parse(data));
  source.onerror = () => {
    tell("lost", "the server cannot be reached; trying again …");
    if (source.readyState === EventSource.CLOSED) { source = null; setTimeout(() => document.hidden || source || connect(), 3000); }
  };
}

function tell(kind, words) {
  if ($("#link").textContent !== words) $("#link").textContent = words;
  $("#link").className = kind;
}

function take(news) {
  for (const [id, summary] of Object.entries(news.changed || {})) runs.set(id, summary);
  if (news.runs) {
    order = news.runs;
    for (const id of [...runs.keys()]) if (!order.includes(id)) { runs.delete(id); cards.get(id)?.remove(); cards.delete(id); }
  }
  if (news.measures) fillMeasures(news.measures);
  if (!runs.has(run) && order.length) return choose(preferred());
  if (news.changed || news.runs) showRuns(Object.keys(news.changed || {}));
  if (news.details) { details = news.details; showSamples(details.id, details.samples); }
  if (news.anew) { curves = new Map(); $("#charts").replaceChildren(); }
  for (const [key, one] of Object.entries(news.curves || {})) {
    one.bins = [...(curves.get(key)?.bins || []).slice(0, one.from), ...one.bins];
    curves.set(key, one);
    stale.add(one.words[0]);
  }
  showOne();
  showCharts();
}

// The run in the address, or one that trains, or the newest.
function preferred() {
  const named = decodeURIComponent(location.hash.slice(1)), by = (found) => order.find((id) => found(runs.get(id)));
  const newest = order.reduce((best, id) => (runs.get(id).last || 0) > (runs.get(best).last || 0) ? id : best, order[0]);
  return by((one) => one.name === named) || by((one) => one.state === "trains") || newest;
}

function choose(id) {
  run = id;
  details = null;
  curves = new Map();
  stale = new Set();
  $("#charts").replaceChildren();
  $("#answer").textContent = "";
  unsure();
  history.replaceState(null, "", `#${encodeURIComponent(runs.get(id).name)}`);
  showRuns([]);
  showOne();
  connect();
}

function fillMeasures(found) {
  const select = $("#measure");
  select.replaceChildren(new Option("what suits each run", ""), ...found.map(([key, words]) => new Option(words, key)));
  select.value = found.some(([key]) => key === measure) ? measure : "";
}

function showRuns(changed) {
  $("#none").hidden = order.length > 0;
  $("#all").hidden = order.length < 2;
  $("#one").hidden = !order.length;
  for (const id of order) {
    if (!cards.has(id)) {
      const card = make("button", { type: "button", class: "run" });
      card.onclick = () => { choose(id); $("#one").scrollIntoView({ behavior: "smooth", block: "start" }); };
      cards.set(id, card);
      fillCard(card, runs.get(id));
    } else if (changed.includes(id)) fillCard(cards.get(id), runs.get(id));
    cards.get(id).setAttribute("aria-pressed", id === run);
    cards.get(id).hidden = !runs.get(id).name.toLowerCase().includes($("#filter").value.toLowerCase());
  }
  const rank = (id) => ["trains", "starts"].includes(runs.get(id).state) ? 0 : 1;
  const sorted = [...order].sort((one, two) => rank(one) - rank(two) || (runs.get(two).last || 0) * rank(two) - (runs.get(one).last || 0) * rank(one));
  if (sorted.some((id, index) => $("#runs").children[index] !== cards.get(id))) $("#runs").append(...sorted.map((id) => cards.get(id)));
  $("#filter").hidden = order.length < 6;
  if (!$("#beside").matches(":hover")) showBeside(sorted);
}

function fillCard(card, one) {
  card.className = `run ${one.state}`;
  const top = make("span", { class: "top" }), bar = make("span", { class: "bar" });
  top.append(make("b", {}, one.name), make("span", { class: `pill ${one.state}` }, STATES[one.state]));
  bar.append(make("i"));
  bar.firstChild.style.width = `${share(one)}%`;
  const left = one.seconds_left ? `, ${clock(one.seconds_left)} left` : "";
  card.replaceChildren(top, bar, make("small", {}, `${steps(one)}${left}`), spark(one.curve),
                       make("small", {}, one.measure ? `${title(one.measure)} ${figure(one.value)}` : "nothing logged yet"));
  if (one.best) card.append(make("small", {}, `best: step ${one.best}`));
}

const share = (one) => one.total ? Math.min(100, 100 * (one.step || 0) / one.total) : 0;
const title = (key) => key.replace("validation/", "").replaceAll("/", " ").replaceAll("_", " ");
const steps = (one) => `step ${count(one.step || 0)}${one.total ? ` of ${count(one.total)} (${Math.floor(share(one))}%)` : ""}`;

// The same curve of up to eight runs in one chart.
function showBeside(sorted) {
  const groups = {};
  for (const id of sorted) {
    const one = runs.get(id);
    if (one.curve.length && !cards.get(id).hidden) (groups[one.measure] ||= []).push(one);
  }
  const [key, found] = Object.entries(groups).sort((one, two) => two[1].length - one[1].length)[0] || ["", []];
  const box = $("#beside");
  if (found.length < 2) return box.replaceChildren();
  if (!box.firstChild) box.append(make("figure"));
  const shown = found.slice(0, 8), more = found.length > 8 ? `, ${shown.length} of ${found.length} runs` : "";
  chart(box.firstChild, `${title(key)}${more}`, shown.map((one, colour) => (
    { name: one.name, bins: one.curve.map(([step, value]) => [step, value, value, value]), last: one.value, bad: 0, colour })));
}

function showOne() {
  const one = runs.get(run);
  if (!one) return;
  document.title = `${one.total ? `${Math.floor(share(one))}% ` : ""}${one.name}`;
  $("#name").textContent = one.name;
  $("#state").className = `card ${one.state}`;
  $("#pill").className = `pill ${one.state}`;
  $("#pill").textContent = STATES[one.state];
  $("#steps").textContent = steps(one);
  $("#left").textContent = one.seconds_left ? `${clock(one.seconds_left)} left` : "";
  $("#state .bar i").style.width = `${share(one)}%`;
  $("#why").textContent = one.why || WORDS[one.state] || "";
  $("#why").className = one.state;
  $("#why").hidden = !$("#why").textContent;
  const trains = one.state === "trains";
  $("#save").disabled = $("#stop").disabled = !trains || Boolean(one.asked);
  if (!trains && sure) unsure();
  if (one.asked) $("#answer").textContent = `Asked to ${one.asked}; it does so between two steps.`;
  else if ($("#answer").textContent.startsWith("Asked")) $("#answer").textContent = "";
  showFacts(one);
  if (!details || details.id !== run) return;
  $("#findings").hidden = !details.findings.length;
  $("#findings ul").replaceChildren(...details.findings.map((words) => make("li", {}, words)));
  $("#troubles").hidden = !details.troubles.length;
  $("#troubles").replaceChildren(...details.troubles.map((words) => make("div", {}, words)));
}

function showFacts(one) {
  const facts = [
    ["images a second", one.images_per_second && short(one.images_per_second)],
    ["waiting for data", one.waiting === undefined ? "" : `${(100 * one.waiting).toFixed(1)}%`],
    ["GPU memory", one.memory && `${gigabytes(one.memory)} of ${gigabytes(one.memory_of)}`],
    ["best step", one.best],
    ["last checkpoint", one.saved ? `step ${count(one.saved)}` : "none yet"],
    ["last row", one.last && new Date(one.last * 1000).toLocaleString()],
    ...(details && details.id === run ? details.facts : []),
    ["runs on", one.runtime],
  ].filter(([name, value]) => value && name !== "method");
  const method = details && details.id === run && details.facts.find(([name]) => name === "method");
  $("#method").textContent = method ? method[1] : "";
  const same = facts.map(([name]) => name).join() === [...$("#facts").querySelectorAll("dt")].map((dt) => dt.textContent).join();
  if (!same) {
    $("#facts").replaceChildren(...facts.map(([name]) => {
      const group = make("div");
      group.append(make("dt", {}, name), make("dd"));
      return group;
    }));
  }
  facts.forEach(([, value], index) => { $("#facts").children[index].lastChild.textContent = value; });
}

function showCharts() {
  $("#no-curves").hidden = curves.size > 0;
  for (const family of stale) {
    const box = [...$("#charts").children].find((one) => one.dataset.family === family) || $("#charts").appendChild(make("div"));
    if (box.matches(":hover") && box.firstChild) continue;  // somebody reads it
    stale.delete(family);
    box.dataset.family = family;
    box.style.display = "contents";
    const members = [...curves.values()].filter((one) => one.words[0] === family);
    members.forEach((one, colour) => { one.name = one.words[1]; one.colour = colour; });
    const groups = bySize(members);
    while (box.children.length > groups.length) box.lastChild.remove();
    const rank = family === "validation" ? 0 : family === "learning rate" ? 2 : family === "speed" ? 3 : 1;
    groups.forEach((group, index) => chart(box.children[index] || box.appendChild(make("figure")), family, group));
    for (const one of box.children) one.style.order = rank;
  }
}

async function ask(wish) {
  const name = runs.get(run).name;
  $("#save").disabled = $("#stop").disabled = true;
  try {
    const answer = await fetch(`api/runs/${run}/${wish}`, { method: "POST", headers: { "Translate-Page": "watch" } });
    $("#answer").textContent = answer.ok ? `Asked to ${wish}; it does so between two steps.` : `${name}: ${(await answer.json()).error}.`;
  } catch {
    $("#answer").textContent = "The server cannot be reached.";
  }
  showOne();
}

function unsure() {
  clearTimeout(sure);
  sure = 0;
  $("#stop").textContent = "Stop";
  $("#stop").classList.remove("sure");
}

$("#save").onclick = () => ask("save");
$("#stop").onclick = () => {
  if (sure) { unsure(); return ask("stop"); }
  $("#stop").textContent = "Save and stop it?";
  $("#stop").classList.add("sure");
  sure = setTimeout(unsure, 5000);
};
$("#filter").oninput = () => showRuns([]);
$("#measure").onchange = ({ target }) => { measure = target.value; connect(); };
document.onvisibilitychange = () => {
  if (!document.hidden) return connect();
  source?.close();
  source = null;
};
window.onhashchange = () => { if (order.length && decodeURIComponent(location.hash.slice(1)) !== runs.get(run)?.name) choose(preferred()); };
connect();
