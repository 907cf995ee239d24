// What the plots have in common: an SVG that follows the size of its element, a scale with a grid, and the
// pointer. An SVG is sharp at any density, and takes its colours from the style sheet.

const MARGIN = { top: 10, right: 12, bottom: 22, left: 46 };

export class Chart {
  #svg;
  #grid;
  #cursor;
  #width = 0;
  #height = 0;
  #pointer = null; // its x, while it is over the plot
  #drawCursor = () => {};

  // `layers`: the class of each path between the grid and the cursor. `redraw`: called when the size
  // changes.
  constructor(svg, layers, redraw) {
    this.#svg = svg;
    this.#grid = svg.appendChild(shape("g", { class: "grid" }));
    this.layers = layers.map((style) => svg.appendChild(shape("path", { class: style })));
    this.#cursor = svg.appendChild(shape("g", { class: "cursor" }));
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

  // Where a time and a value are, or null while the plot has no size. The plot shows the `span` milliseconds
  // before `now`.
  frame(now, span) {
    if (this.#width === 0) return null;
    const [left, right] = [MARGIN.left, this.#width - MARGIN.right];
    const [top, bottom] = [MARGIN.top, this.#height - MARGIN.bottom];
    const x = (at) => right - ((now - at) / span) * (right - left);
    return { now, span, left, right, top, bottom, x };
  }

  // Draws the grid for values up to `largest`, with `spacing` pixels or more between its lines and `lines` of
  // them at least. `least` is the smallest step. Returns the frame with `y`, and with the value at the top.
  grid(frame, { largest, spacing, lines, least = 0, format }) {
    const { span, left, right, top, bottom } = frame;
    const step = niceStep(largest / Math.max(2, Math.floor(this.#height / spacing)), least);
    const most = step * Math.max(lines, Math.ceil(largest / step));
    const y = (value) => bottom - (value / most) * (bottom - top);
    const parts = [];
    for (let line = 0; line * step <= most * 1.001; line += 1) {
      const at = round(y(line * step));
      parts.push(shape("path", { d: `M${left} ${at}H${right}` }));
      parts.push(label(format(line * step, step), left - 6, at + 4, "end"));
    }
    const ticks = this.#width < 420 ? 2 : { 300_000: 5, 900_000: 3 }[span] ?? 4;
    for (let tick = 0; tick <= ticks; tick += 1) {
      const at = left + ((right - left) * tick) / ticks;
      const anchor = tick === 0 ? "start" : tick === ticks ? "end" : "middle";
      parts.push(label(agoLabel(span * (1 - tick / ticks)), at, bottom + 16, anchor));
    }
    this.#grid.replaceChildren(...parts);
    return { ...frame, y, most };
  }

  // What the pointer shows: the one of these that is nearest to it. They have a time, `at`. `values` are those
  // to mark, and `describe` tells them in words.
  points({ x, y, left, right, top, bottom }, list, { values, describe }) {
    this.#drawCursor = () => {
      if (this.#pointer === null || list.length === 0) {
        this.#cursor.replaceChildren();
        return;
      }
      const distance = ({ at }) => Math.abs(x(at) - this.#pointer);
      const nearest = list.reduce((best, one) => (distance(one) < distance(best) ? one : best));
      const at = round(x(nearest.at));
      const anchor = at > (left + right) / 2 ? "end" : "start";
      this.#cursor.replaceChildren(
        shape("path", { d: `M${at} ${top}V${bottom}` }),
        ...values(nearest).map((value) => shape("circle", { cx: at, cy: round(y(value)), r: 4 })),
        label(describe(nearest), at + (anchor === "end" ? -8 : 8), top + 8, anchor),
      );
    };
    this.#drawCursor();
  }

  // What the plot shows, for those who do not see it and for tests.
  tell(words, samples) {
    this.#svg.dataset.samples = samples;
    if (words !== null) this.#svg.setAttribute("aria-label", words);
  }

  #point(x) {
    this.#pointer = x;
    this.#drawCursor();
  }
}

// How long ago something was, in whole seconds.
export function ago(now, at) {
  return `${Math.max(0, Math.round((now - at) / 1000))} s ago`;
}

export function round(number) {
  return Math.round(number * 10) / 10;
}

// 1, 2 or 5 times a power of ten, at least `rough` and `least`.
function niceStep(rough, least) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return Math.max(least, power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999));
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
