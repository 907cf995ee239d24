// The topics of `towline serve --mode topics`: which there are, and to subscribe and publish by the
// subprotocol of docs/topics-protocol.md.

import { formatCount, formatRate } from "./format.js";
import { fetchMode, whyHidden } from "./nav.js";

const PROTOCOL = "towline.topics.v1";
const POLL_MS = 1000;

export class Topics {
  #view;
  #send;
  #last = null; // the list before, and when it came
  #subscribed = new Set();
  #open = false;

  // `view`: the elements { card, totals, form, topic, data, subscribe, publish, error, rows, empty }.
  // `send`: sends a text.
  constructor(view, send) {
    this.#view = view;
    this.#send = send;
    view.subscribe.addEventListener("click", () => this.#toggle(view.topic.value));
    view.topic.addEventListener("input", () => this.#showButtons());
    view.rows.addEventListener("click", ({ target }) => this.#clicked(target));
    view.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#publish();
    });
    this.#showButtons();
  }

  // Asks the server whether it has topics, and if so, again and again. Resolves to the subprotocol to
  // offer, or null.
  async begin() {
    if (!await this.#poll()) return null;
    this.#view.card.hidden = false;
    setInterval(() => document.hidden || this.#poll(), POLL_MS);
    return PROTOCOL;
  }

  opened(protocol) {
    this.#open = protocol === PROTOCOL;
    this.#showButtons();
  }

  closed() {
    this.#open = false;
    this.#subscribed.clear();
    this.#showError(null);
    this.#showButtons();
    this.#showRows();
  }

  received(text) {
    if (!this.#open) return;
    const { subscribed, unsubscribed, error } = parsed(text) ?? {};
    if (typeof subscribed === "string") this.#subscribed.add(subscribed);
    else if (typeof unsubscribed === "string") this.#subscribed.delete(unsubscribed);
    else if (typeof error === "string") return this.#showError(error);
    else return;
    this.#showError(null);
    this.#showButtons();
    this.#poll();
  }

  async #poll() {
    const list = await fetchMode();
    if (list?.mode !== "topics") return false;
    // The names of topics are not for everybody (--console); any topic can be typed.
    if (list.list === undefined) {
      this.#view.totals.textContent = whyHidden(list);
      this.#view.empty.hidden = true;
      return true;
    }
    this.#rate({ ...list, at: performance.now() });
    this.#showRows();
    return true;
  }

  // What happens in a second, from the counts of two lists.
  #rate(list) {
    const last = this.#last;
    const seconds = last === null ? 0 : (list.at - last.at) / 1000;
    const before = new Map(last?.list.map((topic) => [topic.name, topic]));
    const rate = (now, then, count) =>
      then === undefined || seconds === 0 ? 0 : Math.max(0, (count(now) - count(then)) / seconds);
    const incoming = ({ published, relayed }) => published + relayed;
    const delivered = (counts) => counts.delivered;
    for (const topic of list.list) {
      topic.incoming = rate(topic, before.get(topic.name), incoming);
      topic.outgoing = rate(topic, before.get(topic.name), delivered);
    }
    list.incoming = rate(list, last ?? undefined, incoming);
    list.outgoing = rate(list, last ?? undefined, delivered);
    this.#last = list;
  }

  #showRows() {
    const list = this.#last;
    if (list === null) return;
    const { totals, rows, empty } = this.#view;
    totals.textContent = `${formatCount(list.topics)} with ${formatCount(list.members)} ${list.members === 1 ? "member" : "members"} · ${formatRate(list.incoming)} in, ${formatRate(list.outgoing)} out`;
    empty.hidden = list.list.length > 0;
    // Rows stay the same elements, so that a click or the focus is not lost to a new list.
    const known = new Map([...rows.children].map((row) => [row.dataset.name, row]));
    list.list.forEach((topic, index) => {
      const row = this.#row(topic, known.get(topic.name));
      known.delete(topic.name);
      if (rows.children[index] !== row) rows.insertBefore(row, rows.children[index] ?? null);
    });
    for (const gone of known.values()) gone.remove();
  }

  #row({ name, members, incoming, outgoing, skipped }, row = newRow(name)) {
    const [chosen, ...figures] = row.children;
    row.dataset.subscribed = this.#subscribed.has(name);
    chosen.firstChild.title = skipped > 0 ? `${name}: ${formatCount(skipped)} skipped for slow members` : name;
    [formatCount(members), formatRate(incoming), formatRate(outgoing)].forEach((text, index) => {
      if (figures[index].textContent !== text) figures[index].textContent = text;
    });
    return row;
  }

  #clicked(target) {
    const row = target.closest("tr");
    if (row === null) return;
    this.#view.topic.value = row.dataset.name;
    this.#showButtons();
  }

  #toggle(topic) {
    if (!this.#open || topic === "") return;
    this.#send(JSON.stringify(this.#subscribed.has(topic) ? { unsubscribe: topic } : { subscribe: topic }));
  }

  // JSON if it is, so that its numbers stay as they were typed; otherwise a string.
  #publish() {
    const { topic, data } = this.#view;
    if (!this.#open || topic.value === "") return;
    const json = parsed(data.value) === undefined ? JSON.stringify(data.value) : data.value;
    this.#send(`{"publish":${JSON.stringify(topic.value)},"data":${json}}`);
    data.value = "";
  }

  #showButtons() {
    const { topic, data, subscribe, publish } = this.#view;
    const can = this.#open && topic.value !== "";
    subscribe.disabled = !can;
    publish.disabled = !can;
    data.disabled = !this.#open;
    subscribe.textContent = this.#subscribed.has(topic.value) ? "Unsubscribe" : "Subscribe";
    for (const row of this.#view.rows.children) row.dataset.subscribed = this.#subscribed.has(row.dataset.name);
  }

  #showError(text) {
    this.#view.error.hidden = text === null;
    this.#view.error.textContent = text ?? "";
  }
}

function newRow(name) {
  const row = document.createElement("tr");
  row.dataset.name = name;
  for (let column = 0; column < 4; column += 1) row.append(document.createElement("td"));
  const chosen = row.firstChild.appendChild(document.createElement("button"));
  chosen.type = "button";
  chosen.textContent = name;
  return row;
}

// The value, or undefined if the text is not JSON.
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
