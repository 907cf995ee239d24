// The card of round trips: pings, and the times of all echoes with their figures and their plot.

import { formatCount, formatMilliseconds } from "./format.js";
import { oncePerFrame } from "./frames.js";
import { Plot, Samples } from "./plot.js";

const PATIENCE_MS = 5_000; // until a missing echo is mentioned
const SLIDE_MS = 100; // how often the plot moves while nothing happens
const FIGURES_MS = 250;

const $ = (id) => document.getElementById(id);

// Tells the pings of two consoles on one chat server apart.
const pageTag = Math.random().toString(36).slice(2, 6);

export class RoundTrips {
  #echoes;
  #isOpen;
  #send;
  #samples = new Samples();
  #plot;
  #sampledUrl = null; // whose round trips the plot shows
  #pings = 0;
  #autoPingTimer = null;
  #slideTimer = null;
  #figures = null;
  #figuresAt = -Infinity;
  #schedule = oncePerFrame(() => this.#draw());

  // `echoes`: what was sent and has no answer yet. `isOpen`: whether there is a connection. `send`: sends a
  // text, with what is to be known about it.
  constructor({ echoes, isOpen, send }) {
    this.#echoes = echoes;
    this.#isOpen = isOpen;
    this.#send = send;
    this.#plot = new Plot($("plot"), this.#schedule);
    $("ping").addEventListener("click", () => this.#ping());
    $("auto-ping").addEventListener("change", () => this.#restartAutoPing());
    $("auto-ping-interval").addEventListener("change", () => this.#restartAutoPing());
    $("span").addEventListener("change", this.#schedule);
    setInterval(() => this.#showUnanswered(), 1000);
  }

  hide() {
    $("round-trips").hidden = true;
  }

  // A connection is made. Figures that mix two servers would be meaningless.
  begin(url) {
    if (this.#sampledUrl !== null && this.#sampledUrl !== url) this.#samples.reset();
    else this.#samples.interrupt();
    this.#sampledUrl = url;
    this.#schedule();
  }

  // The connection has opened or closed.
  changed() {
    $("ping").disabled = !this.#isOpen();
    this.#restartAutoPing();
    this.#showUnanswered();
  }

  add(at, ms) {
    this.#samples.add(at, ms);
    this.#schedule();
  }

  #ping({ unlogged = false } = {}) {
    if (!this.#isOpen()) return;
    this.#pings += 1;
    this.#send(`ping ${this.#pings} ${pageTag}`, { kind: "ping", ping: true, unlogged });
  }

  #restartAutoPing() {
    clearInterval(this.#autoPingTimer);
    if (!$("auto-ping").checked || !this.#isOpen()) return;
    const automatic = () => this.#ping({ unlogged: !$("auto-ping-log").checked });
    automatic();
    this.#autoPingTimer = setInterval(automatic, Number($("auto-ping-interval").value));
  }

  #draw() {
    const now = performance.now();
    // Sorting all samples for every frame of a flood would be wasteful: a few times a second is enough,
    // and the slide below updates the last ones.
    if (now - this.#figuresAt > FIGURES_MS || this.#samples.total <= 1) {
      this.#figuresAt = now;
      this.#showFigures();
    }
    const shown = { figures: this.#figures, words: `Round-trip times: ${this.#words()}` };
    const visible = this.#plot.draw(this.#samples, shown, now, Number($("span").value) * 1000);
    $("plot-empty").hidden = visible;
    clearTimeout(this.#slideTimer);
    if (visible) this.#slideTimer = setTimeout(this.#schedule, SLIDE_MS);
  }

  #showFigures() {
    this.#figures = this.#samples.figures();
    for (const id of ["last", "min", "median", "p95"]) {
      $(id).textContent = this.#figures ? formatMilliseconds(this.#figures[id]) : "–";
    }
  }

  #words() {
    if (!this.#figures) return "no samples yet";
    const { last, median } = this.#figures;
    return `last ${formatMilliseconds(last)}, median ${formatMilliseconds(median)}, ${formatCount(this.#samples.total)} samples`;
  }

  // Explains an empty plot: a server need not echo.
  #showUnanswered() {
    const { oldest, waiting } = this.#echoes;
    const overdue = this.#isOpen() && oldest !== null && performance.now() - oldest > PATIENCE_MS;
    $("unanswered").hidden = !overdue;
    if (overdue) $("unanswered").textContent = `${formatCount(waiting)} sent and no echo so far: this server may not echo.`;
  }
}
