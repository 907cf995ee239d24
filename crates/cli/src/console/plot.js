// Round-trip samples, their figures, and their picture: an SVG, so that it is sharp at any density
// and takes its colours from the style sheet.

import { formatCount, formatMilliseconds } from "./format.js";

const MAX_SAMPLES = 20_000;
const COLUMN = 2; // pixels a column of samples shares
const LEAST_SCALE = 0.05; // milliseconds: below that lies only the clock's grain
const MARGIN = { top: 10, right: 12, bottom: 22, left: 46 };

export class Samples {
  #list = [];
  #broken = false;
  total = 0;

  // The newest ones, oldest first: { at, ms, first }, times in milliseconds of `performance.now()`.
  get list() {
    return this.#list;
  }

  add(at, ms) {
    this.#list.push({ at, ms, first: this.#broken });
    this.#broken = false;
    this.total += 1;
    if (this.#list.length > MAX_SAMPLES * 1.25) this.#list = this.#list.slice(-MAX_SAMPLES);
  }

  // The next sample belongs to another connection: no line leads to it.
  interrupt() {
    this.#broken = true;
  }

  reset() {
    this.#list = [];
    this.total = 0;
  }

  figures() {
    if (this.#list.length === 0) return null;
    const sorted = Float64Array.from(this.#list, ({ ms }) => ms).sort();
    const rank = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
    return { last: this.#list.at(-1).ms, min: sorted[0], median: rank(0.5), p95: rank(0.95) };
  }
}

export class Plot {
  #svg;
  #width = 0;
  #height = 0;
  #columns = [];
  #pointer = null; // its x, while it is over the plot
  #parts = {};
  #scale = null;

  constructor(svg, onResize) {
    this.#svg = svg;
    for (const [name, tag] of [["grid", "g"], ["band", "path"], ["median", "path"], ["trace", "path"], ["dots", "path"], ["cursor", "g"]]) {
      this.#parts[name] = shape(tag, { class: name });
      svg.append(this.#parts[name]);
    }
    new ResizeObserver(([{ contentRect }]) => {
      this.#width = contentRect.width;
      this.#height = contentRect.height;
      svg.setAttribute("viewBox", `0 0 ${this.#width} ${this.#height}`);
      onResize();
    }).observe(svg);
    const point = (event) => this.#point(event.clientX - svg.getBoundingClientRect().left);
    svg.addEventListener("pointermove", point);
    svg.addEventListener("pointerdown", point);
    svg.addEventListener("pointerleave", () => this.#point(null));
  }

  // Draws what falls into the last `span` milliseconds before `now`. Says whether anything did.
  draw(samples, figures, now, span) {
    if (this.#width === 0) return false;
    const left = MARGIN.left;
    const right = this.#width - MARGIN.right;
    const bottom = this.#height - MARGIN.bottom;
    const x = (at) => right - ((now - at) / span) * (right - left);

    this.#columns = columns(samples.list, now - span, (span / (right - left)) * COLUMN);
    const largest = Math.max(...this.#columns.map(({ max }) => max)); // -Infinity while there is none
    const step = niceStep(Math.max(largest > 0 ? largest : 1, LEAST_SCALE) / Math.max(2, Math.floor(this.#height / 65)));
    const top = step * Math.max(1, Math.ceil(largest / step));
    const y = (ms) => bottom - (ms / top) * (bottom - MARGIN.top);
    this.#scale = { x, y, now, left, right, bottom };

    this.#drawGrid(step, top, span);
    this.#drawTrace(right - left);
    const showMedian = figures && this.#columns.length > 0 && figures.median <= top;
    set(this.#parts.median, "d", showMedian ? `M${left} ${round(y(figures.median))}H${round(right)}` : "");
    this.#drawCursor();
    this.#svg.dataset.samples = samples.total;
    return this.#columns.length > 0;
  }

  #drawGrid(step, top, span) {
    const { y, left, right, bottom } = this.#scale;
    const parts = [];
    const decimals = Math.max(0, -Math.floor(Math.log10(step)));
    for (let line = 0; line * step <= top * 1.001; line += 1) {
      const at = round(y(line * step));
      parts.push(shape("path", { d: `M${left} ${at}H${right}` }));
      parts.push(label(line === 0 ? "0 ms" : (line * step).toFixed(decimals), left - 6, at + 4, "end"));
    }
    const ticks = this.#width < 420 ? 2 : 4;
    for (let tick = 0; tick <= ticks; tick += 1) {
      const at = left + ((right - left) * tick) / ticks;
      const anchor = tick === 0 ? "start" : tick === ticks ? "end" : "middle";
      parts.push(label(agoLabel(span * (1 - tick / ticks)), at, bottom + 16, anchor));
    }
    this.#parts.grid.replaceChildren(...parts);
  }

  // A line through the columns' means over a band from their least to their greatest. While there
  // are few of them each is a dot as well.
  #drawTrace(width) {
    const { x, y } = this.#scale;
    let trace = "";
    let band = "";
    for (const segment of segments(this.#columns)) {
      const points = segment.map(({ at, mean }) => `${round(x(at))} ${round(y(mean))}`);
      trace += `M${points.join("L")}`;
      const upper = segment.map(({ at, max }) => `${round(x(at))} ${round(y(max))}`);
      const lower = segment.map(({ at, min }) => `${round(x(at))} ${round(y(min))}`).reverse();
      band += `M${upper.concat(lower).join("L")}Z`;
    }
    const crowded = this.#columns.length > width / 7;
    const dotted = crowded ? this.#columns.slice(-1) : this.#columns;
    set(this.#parts.trace, "d", trace);
    set(this.#parts.band, "d", band);
    set(this.#parts.dots, "d", dotted.map(({ at, mean }) => `M${round(x(at))} ${round(y(mean))}h0`).join(""));
  }

  #point(x) {
    this.#pointer = x;
    if (this.#scale) this.#drawCursor();
  }

  #drawCursor() {
    const { x, y, now, left, right, bottom } = this.#scale;
    if (this.#pointer === null || this.#columns.length === 0) {
      this.#parts.cursor.replaceChildren();
      return;
    }
    const distance = (column) => Math.abs(x(column.at) - this.#pointer);
    const nearest = this.#columns.reduce((best, column) => (distance(column) < distance(best) ? column : best));
    const at = round(x(nearest.at));
    const anchor = at > (left + right) / 2 ? "end" : "start";
    this.#parts.cursor.replaceChildren(
      shape("path", { d: `M${at} ${MARGIN.top}V${bottom}` }),
      shape("circle", { cx: at, cy: round(y(nearest.mean)), r: 4 }),
      label(describeColumn(nearest, now), at + (anchor === "end" ? -8 : 8), MARGIN.top + 8, anchor),
    );
  }
}

// Samples since `start`, those of the same `width` milliseconds merged. Columns lie on multiples of
// the width, not relative to now: a column keeps its samples as it moves to the left.
function columns(list, start, width) {
  const found = [];
  let index = list.length;
  while (index > 0 && list[index - 1].at >= start) index -= 1;
  for (const { at, ms, first } of list.slice(index)) {
    const slot = Math.floor(at / width);
    const last = found.at(-1);
    if (last && last.slot === slot && !first) {
      last.count += 1;
      last.at += (at - last.at) / last.count;
      last.mean += (ms - last.mean) / last.count;
      last.min = Math.min(last.min, ms);
      last.max = Math.max(last.max, ms);
    } else {
      found.push({ slot, at, mean: ms, min: ms, max: ms, count: 1, first });
    }
  }
  return found;
}

function segments(all) {
  const found = [];
  for (const column of all) {
    if (column.first || found.length === 0) found.push([]);
    found.at(-1).push(column);
  }
  return found;
}

function describeColumn({ at, mean, min, max, count }, now) {
  const ago = `${Math.max(0, (now - at) / 1000).toFixed(0)} s ago`;
  if (count === 1) return `${formatMilliseconds(mean)}, ${ago}`;
  return `${formatCount(count)} of ${formatMilliseconds(min)} – ${formatMilliseconds(max)}, ${ago}`;
}

// 1, 2 or 5 times a power of ten, at least `rough`.
function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
}

function agoLabel(ms) {
  if (ms === 0) return "now";
  const seconds = ms / 1000;
  return seconds >= 120 ? `−${round(seconds / 60)} min` : `−${seconds} s`;
}

function label(text, x, y, anchor) {
  const made = shape("text", { x: round(x), y: round(y), "text-anchor": anchor });
  made.textContent = text;
  return made;
}

function shape(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) set(made, name, value);
  return made;
}

function set(node, name, value) {
  node.setAttribute(name, value);
}

function round(number) {
  return Math.round(number * 10) / 10;
}
