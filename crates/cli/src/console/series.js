// Values over time as lines.

import { Chart, ago, round } from "./chart.js";

const MAX_SAMPLES = 2000;

export class Series {
  #chart;
  #names;
  #format;
  #list = []; // { at, values, gap }, oldest first

  // `lines`: the class and the name of each line. `format`: a value in words.
  constructor(svg, lines, format, redraw) {
    this.#chart = new Chart(svg, lines.map(({ style }) => `line ${style}`), redraw);
    this.#names = lines;
    this.#format = format;
  }

  // A sample of all lines. `gap`: it does not follow the one before.
  add(at, values, gap = false) {
    this.#list.push({ at, values, gap });
    if (this.#list.length > MAX_SAMPLES) this.#list.shift();
  }

  // Draws the last `span` milliseconds before `now`.
  draw(now, span) {
    const shown = this.#list.filter(({ at }) => at >= now - span);
    const largest = Math.max(1, ...shown.flatMap(({ values }) => values));
    let frame = this.#chart.frame(now, span);
    if (frame === null) return;
    // Counts are whole.
    frame = this.#chart.grid(frame, { largest, spacing: 50, lines: 2, least: 1, format: this.#format });
    const { x, y } = frame;
    this.#chart.layers.forEach((line, index) => {
      const points = shown.map(({ at, values, gap }, first) =>
        `${first === 0 || gap ? "M" : "L"}${round(x(at))} ${round(y(values[index]))}`);
      line.setAttribute("d", points.length === 1 ? `${points[0]}h.1` : points.join(""));
    });
    this.#chart.points(frame, shown, {
      values: ({ values }) => values,
      describe: (sample) => `${this.#describe(sample)}, ${ago(now, sample.at)}`,
    });
    const last = shown.at(-1);
    this.#chart.tell(last ? this.#describe(last) : null, shown.length);
  }

  #describe({ values }) {
    return this.#names.map(({ name }, index) => `${name} ${this.#format(values[index])}`).join(", ");
  }
}
