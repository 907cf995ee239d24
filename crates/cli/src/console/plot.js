// Round-trip samples, their figures, and their picture.

import { Chart, ago, round } from "./chart.js";
import { formatCount, formatMilliseconds } from "./format.js";

const MAX_SAMPLES = 20_000;
const COLUMN = 2; // pixels a column of samples shares
const LEAST_SCALE = 0.05; // milliseconds: below that lies only the clock's grain

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
  #chart;
  #band;
  #median;
  #trace;
  #dots;

  constructor(svg, onResize) {
    this.#chart = new Chart(svg, ["band", "median", "trace", "dots"], onResize);
    [this.#band, this.#median, this.#trace, this.#dots] = this.#chart.layers;
  }

  // Draws what falls into the last `span` milliseconds before `now`. `words` tells the figures. Says whether
  // there was anything to draw.
  draw(samples, { figures, words }, now, span) {
    let frame = this.#chart.frame(now, span);
    if (frame === null) return false;
    const width = frame.right - frame.left;
    const shown = columns(samples.list, now - span, (span / width) * COLUMN);
    const largest = Math.max(0, ...shown.map(({ max }) => max));
    frame = this.#chart.grid(frame, {
      largest: Math.max(largest > 0 ? largest : 1, LEAST_SCALE), spacing: 65, lines: 1, format: formatLine,
    });
    this.#drawTrace(frame, shown, width);
    const showMedian = figures && shown.length > 0 && figures.median <= frame.most;
    set(this.#median, showMedian ? `M${frame.left} ${round(frame.y(figures.median))}H${round(frame.right)}` : "");
    this.#chart.points(frame, shown, {
      values: ({ mean }) => [mean],
      describe: (column) => describeColumn(column, now),
    });
    this.#chart.tell(words, samples.total);
    return shown.length > 0;
  }

  // A line through the columns' means over a band from their least to their greatest. While there
  // are few of them each is a dot as well.
  #drawTrace({ x, y }, shown, width) {
    let trace = "";
    let band = "";
    for (const segment of segments(shown)) {
      const points = segment.map(({ at, mean }) => `${round(x(at))} ${round(y(mean))}`);
      trace += `M${points.join("L")}`;
      const upper = segment.map(({ at, max }) => `${round(x(at))} ${round(y(max))}`);
      const lower = segment.map(({ at, min }) => `${round(x(at))} ${round(y(min))}`).reverse();
      band += `M${upper.concat(lower).join("L")}Z`;
    }
    const crowded = shown.length > width / 7;
    const dotted = crowded ? shown.slice(-1) : shown;
    set(this.#trace, trace);
    set(this.#band, band);
    set(this.#dots, dotted.map(({ at, mean }) => `M${round(x(at))} ${round(y(mean))}h0`).join(""));
  }
}

function set(path, d) {
  path.setAttribute("d", d);
}

// A line of the grid: the lowest has the unit.
function formatLine(ms, step) {
  return ms === 0 ? "0 ms" : ms.toFixed(Math.max(0, -Math.floor(Math.log10(step))));
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
  if (count === 1) return `${formatMilliseconds(mean)}, ${ago(now, at)}`;
  return `${formatCount(count)} of ${formatMilliseconds(min)} – ${formatMilliseconds(max)}, ${ago(now, at)}`;
}
