// Values over time as lines: an SVG, so that it is sharp at any density and takes its colours from the
// style sheet.

const MARGIN = { top: 8, right: 10, bottom: 20, left: 44 };
const MAX_SAMPLES = 2000;

export class Series {
  #svg;
  #names;
  #format;
  #list = []; // { at, values }, oldest first
  #width = 0;
  #height = 0;
  #parts = {};
  #scale = null;
  #pointer = null;
  #redraw;

  // `lines`: the class and the name of each line. `format`: a value in words.
  constructor(svg, lines, format, redraw) {
    this.#svg = svg;
    this.#names = lines;
    this.#format = format;
    this.#redraw = redraw;
    this.#parts.grid = this.#append("g", { class: "grid" });
    this.#parts.lines = lines.map(({ style }) => this.#append("path", { class: `line ${style}` }));
    this.#parts.cursor = this.#append("g", { class: "cursor" });
    new ResizeObserver(([{ contentRect }]) => {
      this.#width = contentRect.width;
      this.#height = contentRect.height;
      svg.setAttribute("viewBox", `0 0 ${this.#width} ${this.#height}`);
      redraw();
    }).observe(svg);
    const point = (event) => this.#point(event.clientX - svg.getBoundingClientRect().left);
    svg.addEventListener("pointermove", point);
    svg.addEventListener("pointerdown", point);
    svg.addEventListener("pointerleave", () => this.#point(null));
  }

  // A sample of all lines. `gap`: it does not follow the one before.
  add(at, values, gap = false) {
    this.#list.push({ at, values, gap });
    if (this.#list.length > MAX_SAMPLES) this.#list.shift();
  }

  // Draws the last `span` milliseconds before `now`.
  draw(now, span) {
    if (this.#width === 0) return;
    const left = MARGIN.left;
    const right = this.#width - MARGIN.right;
    const bottom = this.#height - MARGIN.bottom;
    const shown = this.#list.filter(({ at }) => at >= now - span);
    const largest = Math.max(0, ...shown.flatMap(({ values }) => values));
    const step = niceStep(Math.max(largest, 1) / Math.max(2, Math.floor(this.#height / 50)));
    const top = step * Math.max(2, Math.ceil(largest / step));
    const x = (at) => right - ((now - at) / span) * (right - left);
    const y = (value) => bottom - (value / top) * (bottom - MARGIN.top);
    this.#scale = { x, y, now, left, right, bottom, shown };
    this.#drawGrid(step, top, span);
    this.#parts.lines.forEach((line, index) => {
      const points = shown.map(({ at, values, gap }, first) =>
        `${first === 0 || gap ? "M" : "L"}${round(x(at))} ${round(y(values[index]))}`);
      line.setAttribute("d", points.length === 1 ? `${points[0]}h.1` : points.join(""));
    });
    this.#drawCursor();
    this.#svg.dataset.samples = shown.length;
    const last = shown.at(-1);
    if (last) this.#svg.setAttribute("aria-label", this.#describe(last));
  }

  #describe({ values }) {
    return this.#names.map(({ name }, index) => `${name} ${this.#format(values[index])}`).join(", ");
  }

  #drawGrid(step, top, span) {
    const { y, left, right, bottom } = this.#scale;
    const parts = [];
    for (let line = 0; line * step <= top * 1.001; line += 1) {
      const at = round(y(line * step));
      parts.push(shape("path", { d: `M${left} ${at}H${right}` }));
      parts.push(label(this.#format(line * step), left - 6, at + 4, "end"));
    }
    const ticks = this.#width < 420 ? 2 : { 300_000: 5, 900_000: 3 }[span] ?? 4;
    for (let tick = 0; tick <= ticks; tick += 1) {
      const at = left + ((right - left) * tick) / ticks;
      const anchor = tick === 0 ? "start" : tick === ticks ? "end" : "middle";
      parts.push(label(agoLabel(span * (1 - tick / ticks)), at, bottom + 15, anchor));
    }
    this.#parts.grid.replaceChildren(...parts);
  }

  #point(x) {
    this.#pointer = x;
    if (this.#scale) this.#drawCursor();
  }

  #drawCursor() {
    const { x, y, now, left, right, bottom, shown } = this.#scale;
    if (this.#pointer === null || shown.length === 0) {
      this.#parts.cursor.replaceChildren();
      return;
    }
    const distance = ({ at }) => Math.abs(x(at) - this.#pointer);
    const nearest = shown.reduce((best, sample) => (distance(sample) < distance(best) ? sample : best));
    const at = round(x(nearest.at));
    const anchor = at > (left + right) / 2 ? "end" : "start";
    const ago = `${Math.round((now - nearest.at) / 1000)} s ago`;
    const dots = nearest.values.map((value) => shape("circle", { cx: at, cy: round(y(value)), r: 3.5 }));
    this.#parts.cursor.replaceChildren(
      shape("path", { d: `M${at} ${MARGIN.top}V${bottom}` }),
      ...dots,
      label(`${this.#describe(nearest)}, ${ago}`, at + (anchor === "end" ? -8 : 8), MARGIN.top + 10, anchor),
    );
  }

  #append(tag, attributes) {
    return this.#svg.appendChild(shape(tag, attributes));
  }
}

// 1, 2 or 5 times a power of ten, at least `rough`, and whole.
function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return Math.max(1, power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999));
}

function agoLabel(ms) {
  if (ms === 0) return "now";
  const seconds = ms / 1000;
  return seconds > 60 || seconds % 60 === 0 ? `−${Number((seconds / 60).toFixed(1))} min` : `−${seconds} s`;
}

function label(text, x, y, anchor) {
  const made = shape("text", { x: round(x), y: round(y), "text-anchor": anchor });
  made.textContent = text;
  return made;
}

function shape(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function round(number) {
  return Math.round(number * 10) / 10;
}
