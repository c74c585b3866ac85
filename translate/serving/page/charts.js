// Curves as SVG: bins [step, mean, least, most], a band where they differ, axes with round numbers, values under the pointer.
"use strict";

const $ = (selector, root = document) => root.querySelector(selector);
const SIZES = { left: 54, top: 10, height: 190, right: 14, bottom: 26 };
const SVG = "http://www.w3.org/2000/svg";

function make(name, attributes = {}, text = "") {
  const one = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
  one.textContent = text;
  return one;
}

function draw(name, attributes = {}, text = "") {
  const one = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
  one.textContent = text;
  return one;
}

function short(value, digits = 4) {
  for (const [size, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (Math.abs(value) >= size) return `${Number((value / size).toPrecision(digits))}${letter}`;
  }
  return figure(value, digits);
}

// Labels of four digits, or of as many as tell neighbours apart.
function labels(ticks) {
  for (let digits = 4; digits < 16; digits += 1) {
    const texts = ticks.map((one) => short(one, digits));
    if (new Set(texts).size === texts.length) return texts;
  }
  return ticks.map((one) => short(one));
}

function figure(value, digits = 4) {
  if (value === null || value === undefined) return "not finite";
  if (!value || Math.abs(value) >= 1e-3) return String(Number(value.toPrecision(digits)));
  return value.toExponential(digits - 2).replace(/\.?0+e/, "e");
}

// Round values; `least` apart: between two steps there is none.
function ticks(low, high, about, least = 0) {
  const rough = (high - low) / about, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((digit) => digit * power).find((one) => one >= Math.max(least, rough * (1 - 1e-9))) ?? least;
  const found = [];
  for (let tick = Math.ceil(low / step - 1e-9); tick <= high / step + 1e-9; tick += 1) found.push(tick * step);
  return found;
}

function axis(values) {
  let low = Math.min(...values), high = Math.max(...values);
  if (low > 0 && high / low > 1000) {
    [low, high] = [Math.log10(low / 1.5), Math.log10(high * 1.5)];
    const powers = ticks(low, high, 5).filter((one) => Number.isInteger(one));
    return { place: (value) => value > 0 ? (Math.log10(value) - low) / (high - low) : 0, ticks: powers.map((one) => 10 ** one) };
  }
  const air = (high - low) * 0.06 || Math.abs(low) / 2 || 1;
  [low, high] = low >= 0 && low < high / 4 ? [0, high + air] : [low - air, high + air];
  return { place: (value) => (value - low) / (high - low), ticks: ticks(low, high, 5) };
}

// Curves whose sizes differ more than thirtyfold are flat on one axis: they get charts of their own.
function bySize(curves) {
  const size = (curve) => {
    const means = curve.bins.map((bin) => Math.abs(bin[1])).sort((one, two) => one - two);
    return means.length ? means[means.length >> 1] : 0;
  };
  const charts = [];
  let least = 0;
  for (const curve of [...curves].sort((one, two) => size(one) - size(two))) {
    if (!charts.length || (least > 0 && size(curve) > 30 * least)) { charts.push([]); least = 0; }
    charts.at(-1).push(curve);
    least ||= size(curve);
  }
  for (const chart of charts) chart.sort((one, two) => curves.indexOf(one) - curves.indexOf(two));
  return charts.sort((one, two) => curves.indexOf(one[0]) - curves.indexOf(two[0]));
}

const path = (places) => `M${places.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}`;

// A figure of curves { name, bins, last, bad, colour }, drawn into `card`, which may hold an earlier one.
function chart(card, title, curves) {
  const drawn = curves.filter((curve) => curve.bins.length), { left, top, height, right, bottom } = SIZES;
  card.className = "card chart";
  const width = Math.max(200, (card.clientWidth || 560) - 36 - left - right);
  card.replaceChildren(make("h3"), draw("svg", { viewBox: `0 0 ${left + width + right} ${top + height + bottom}`, role: "img" }));
  const svg = $("svg", card), note = make("small");
  $("h3", card).append(make("span", {}, title), note);
  svg.setAttribute("aria-label", `${title}: ${curves.map((one) => `${one.name} ${figure(one.last)}`).join(", ")}`);
  card.append(legend(curves));
  if (!drawn.length) return svg.remove();
  const steps = drawn.flatMap((curve) => curve.bins.map((bin) => bin[0]));
  let first = Math.min(...steps), last = Math.max(...steps);
  if (first === last) [first, last] = [first - 1, last + 1];
  const values = axis(drawn.flatMap((curve) => curve.bins.flatMap((bin) => extent(curve, bin))));
  const x = (step) => left + (step - first) / (last - first) * width;
  const y = (value) => top + (1 - Math.min(1.02, Math.max(-0.02, values.place(value)))) * height;
  const texts = labels(values.ticks);
  for (const [place, tick] of values.ticks.entries()) {
    svg.append(draw("line", { class: "grid", x1: left, x2: left + width, y1: y(tick), y2: y(tick) }),
               draw("text", { x: left - 8, y: y(tick) + 4, "text-anchor": "end" }, texts[place]));
  }
  const marked = ticks(first, last, Math.min(8, width / 70), 1), named = labels(marked);
  for (const [place, tick] of marked.entries()) {
    svg.append(draw("text", { x: x(tick), y: top + height + 19, "text-anchor": "middle" }, named[place]));
  }
  svg.append(draw("line", { class: "axis", x1: left, x2: left + width, y1: top + height, y2: top + height }));
  for (const curve of drawn) svg.append(line(curve, x, y));
  follow(card, svg, note, drawn, x, left + width + right);
}

// Rare outliers of the bands do not squeeze the rest.
function extent(curve, bin) {
  return curve.bins.length < 60 ? bin.slice(1) : [bin[1]];
}

function line({ bins, colour }, x, y) {
  const group = draw("g", { class: `line c${colour % 8}` });
  if (bins.some((bin) => bin[3] > bin[2])) {
    const around = [...bins.map((bin) => [x(bin[0]), y(bin[3])]), ...bins.map((bin) => [x(bin[0]), y(bin[2])]).reverse()];
    const band = draw("path", { d: `${path(around)}Z` });
    band.style.cssText = "fill: var(--c); opacity: 0.16; stroke: none";
    group.append(band);
  }
  group.append(draw("path", { d: path(bins.map((bin) => [x(bin[0]), y(bin[1])])) }));
  if (bins.length <= 40) for (const bin of bins) group.append(draw("circle", { cx: x(bin[0]), cy: y(bin[1]), r: 2.4 }));
  return group;
}

function legend(curves) {
  const list = make("ul", { class: "legend" });
  for (const curve of curves) {
    const item = make("li", { class: `c${curve.colour % 8}` });
    item.append(make("i"), curve.name, make("b", {}, figure(curve.last)));
    if (curve.bad) item.append(" ", make("em", {}, `${curve.bad} not finite`));
    list.append(item);
  }
  return list;
}

// The values at the step under the pointer, in the legend.
function follow(card, svg, note, curves, x, wide) {
  const cross = draw("line", { class: "cross", y1: SIZES.top, y2: SIZES.top + SIZES.height, visibility: "hidden" });
  const shown = [...card.querySelectorAll(".legend b")], names = [...card.querySelectorAll(".legend li")].map((one) => one.childNodes[1].data);
  svg.append(cross);
  svg.onpointermove = ({ clientX }) => {
    const box = svg.getBoundingClientRect(), at = (clientX - box.left) / box.width * wide;
    const nearest = (bins) => bins.reduce((best, bin) => Math.abs(x(bin[0]) - at) < Math.abs(x(best[0]) - at) ? bin : best);
    const step = nearest(curves[0].bins)[0];
    cross.setAttribute("x1", x(step));
    cross.setAttribute("x2", x(step));
    cross.setAttribute("visibility", "visible");
    note.textContent = `step ${Math.round(step).toLocaleString("en")}`;
    for (const curve of curves) shown[names.indexOf(curve.name)].textContent = figure(nearest(curve.bins)[1]);
  };
  svg.onpointerleave = () => {
    cross.setAttribute("visibility", "hidden");
    note.textContent = "";
    for (const curve of curves) shown[names.indexOf(curve.name)].textContent = figure(curve.last);
  };
}

// A small curve without axes, of points [step, value].
function spark(points) {
  const svg = draw("svg", { viewBox: "0 0 200 44", preserveAspectRatio: "none", "aria-hidden": "true" });
  if (points.length > 1) {
    const values = axis(points.map((one) => one[1])), first = points[0][0], span = points.at(-1)[0] - first || 1;
    svg.append(draw("path", { d: path(points.map(([step, value]) => [(step - first) / span * 200, 2 + (1 - values.place(value)) * 40])) }));
  }
  return svg;
}
