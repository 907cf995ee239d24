// The list of messages: bounded in rows and in bytes, drawn at most once a frame.
//
// Data from peers is only ever assigned to `textContent`.

import { deflatedSize, formatClock, formatCount, formatMilliseconds, formatSize, harmless, hexDump, previewBytes, previewText } from "./format.js";

const MAX_ROWS = 500;
const MAX_DRAWN = 50; // rows that are new in a frame: more would make the page slow in a flood
const MAX_PAYLOAD_BYTES = 64 * 1024 * 1024;
const MAX_TEXT_SHOWN = 64 * 1024;
const MAX_BYTES_DUMPED = 4 * 1024;
const MAX_SEARCHED = 4096;
const NEAR_BOTTOM = 24;
const FRAMES_TO_SETTLE = 4;

const ARROWS = { out: ["↑", "sent"], in: ["↓", "received"] };

export class Log {
  #entries = [];
  #stale = []; // rows whose entries are gone, to be removed with the next frame
  #payloadBytes = 0;
  #scheduled = false;
  #settling = 0; // the frame that looks for the bottom again
  #following = true;
  #unseen = 0;
  #skipped = 0; // messages that came too fast to be drawn
  #top = 0; // where the list was last known to be scrolled to
  #filter = { text: "", show: "all" };
  #bodies = new WeakMap();
  #view;

  // `view`: the elements { list, empty, newest, follow }.
  constructor(view) {
    this.#view = view;
    view.list.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    view.list.addEventListener("toggle", (event) => this.#toggled(event.target), true); // does not bubble
    new ResizeObserver(() => this.#settle()).observe(view.list);
    view.newest.addEventListener("click", () => this.#follow(true));
    view.follow.addEventListener("click", () => this.#follow(!this.#following));
  }

  // { direction: "out" | "in", kind, payload: string | Uint8Array, size, name?, rtt?, compressed? }
  message(entry) {
    this.#add({ ...entry, time: new Date() });
  }

  // { kind, title?, text, good?, code? }
  system(entry) {
    this.#add({ ...entry, direction: "system", time: new Date() });
  }

  filter(text, show) {
    this.#filter = { text: text.toLowerCase(), show };
    for (const entry of this.#entries) if (entry.row) entry.row.hidden = !this.#matches(entry);
    this.#settle();
  }

  clear() {
    this.#entries = [];
    this.#stale = [];
    this.#payloadBytes = 0;
    this.#skipped = 0;
    this.#view.list.replaceChildren();
    this.#follow(true);
  }

  #add(entry) {
    this.#entries.push(entry);
    this.#payloadBytes += entry.size ?? 0;
    if (this.#entries.length > MAX_ROWS) this.#drop(this.#entries.shift());
    for (const old of this.#entries) {
      if (this.#payloadBytes <= MAX_PAYLOAD_BYTES) break;
      this.#forget(old);
    }
    this.#schedule();
  }

  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => this.#draw());
  }

  #drop(entry) {
    this.#forget(entry);
    if (entry.row) this.#stale.push(entry.row);
    else this.#skipped += 1;
  }

  #forget(entry) {
    if (entry.payload === undefined) return;
    this.#payloadBytes -= entry.size;
    entry.payload = undefined;
  }

  #draw() {
    this.#scheduled = false;
    for (const row of this.#stale) row.remove();
    this.#stale = [];

    // The newest entries have no row yet; those that come and go between two frames never get one.
    let first = this.#entries.length;
    while (first > 0 && !this.#entries[first - 1].row) first -= 1;
    const fresh = document.createDocumentFragment();
    for (const entry of this.#entries.slice(first, first + MAX_DRAWN)) {
      entry.row = entry.direction === "system" ? systemRow(entry) : messageRow(entry);
      entry.row.hidden = !this.#matches(entry);
      this.#bodies.set(entry.row, entry);
      fresh.append(entry.row);
      if (!this.#following && !entry.row.hidden) this.#unseen += 1;
    }
    this.#view.list.append(fresh);
    this.#showSkipped();
    this.#settle();
    if (first + MAX_DRAWN < this.#entries.length) this.#schedule();
  }

  #showSkipped() {
    const { list } = this.#view;
    if (this.#skipped === 0) return;
    const first = list.firstElementChild;
    const note = first?.matches(".skipped") ? first : element(list.matches("ol, ul") ? "li" : "p", "hint skipped");
    const [count, were] = this.#skipped === 1 ? ["1 message", "was"] : [`${formatCount(this.#skipped)} messages`, "were"];
    note.textContent = `${count} came too fast and ${were} not shown`;
    if (note !== first) list.prepend(note);
  }

  #settle() {
    const { list, empty, newest } = this.#view;
    empty.hidden = this.#entries.length > 0;
    if (this.#following) this.#toBottom();
    else if (this.#isAtBottom()) this.#unseen = 0; // all there is has room
    newest.hidden = this.#unseen === 0;
    newest.textContent = `${this.#unseen > MAX_ROWS ? `${MAX_ROWS}+` : this.#unseen} new ↓`;
  }

  // A row has an estimated height until it is visible, one frame after the scroll: so this scrolls until
  // the bottom stays in place.
  #toBottom(frames = FRAMES_TO_SETTLE) {
    const { list } = this.#view;
    list.scrollTop = list.scrollHeight;
    this.#top = list.scrollTop;
    cancelAnimationFrame(this.#settling);
    if (frames === 0) return;
    this.#settling = requestAnimationFrame(() => this.#following && this.#toBottom(frames - 1));
  }

  #isAtBottom() {
    const { list } = this.#view;
    return list.scrollHeight - list.scrollTop - list.clientHeight < NEAR_BOTTOM;
  }

  // Only scrolling up stops following; growing content does not.
  #scrolled() {
    const { list } = this.#view;
    const atBottom = this.#isAtBottom();
    const upwards = list.scrollTop < this.#top;
    this.#top = list.scrollTop;
    if (atBottom && !this.#following) this.#follow(true);
    if (!atBottom && upwards && this.#following) this.#follow(false);
  }

  #follow(following) {
    this.#following = following;
    this.#view.follow.setAttribute("aria-pressed", String(following));
    this.#view.list.dataset.following = following;
    if (following) this.#unseen = 0;
    this.#settle();
  }

  #matches(entry) {
    const { text, show } = this.#filter;
    if (show !== "all" && show !== entry.direction && show !== entry.kind) return false;
    if (text === "") return true;
    const content = typeof entry.payload === "string" ? entry.payload.slice(0, MAX_SEARCHED) : "";
    return [content, entry.name, entry.title, entry.text].some((part) => part?.toLowerCase().includes(text));
  }

  // Bodies are built when a row is first opened: a flood of messages does not pay for them.
  #toggled(details) {
    const entry = this.#bodies.get(details.closest(".row"));
    details.querySelector(".body")?.remove();
    if (!entry || !details.open) return;
    details.append(messageBody(entry, this.#view.list.clientWidth));
    this.#follow(false); // someone reads; the scroll that shows the last row to its end resumes it
    details.scrollIntoView({ block: "nearest" });
  }
}

function fromTemplate(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}

function setTime(row, time) {
  const element = row.querySelector("time");
  element.textContent = formatClock(time);
  element.dateTime = time.toISOString();
}

function systemRow(entry) {
  const row = fromTemplate("system-row");
  row.dataset.kind = entry.kind;
  if (entry.code !== undefined) row.dataset.code = entry.code;
  if (entry.good !== undefined) row.dataset.good = entry.good;
  setTime(row, entry.time);
  row.querySelector("strong").textContent = entry.title ?? "";
  row.querySelector("p > span").textContent = harmless(entry.text);
  return row;
}

function messageRow(entry) {
  const row = fromTemplate("message-row");
  const [arrow, meaning] = ARROWS[entry.direction];
  row.dataset.direction = entry.direction;
  row.dataset.kind = entry.kind;
  setTime(row, entry.time);
  const set = (part, text) => { row.querySelector(part).textContent = text; };
  set(".arrow", arrow);
  row.querySelector(".arrow").setAttribute("aria-label", meaning);
  set(".kind", entry.kind);
  set(".preview", preview(entry));
  set(".rtt", entry.rtt === undefined ? "" : formatMilliseconds(entry.rtt));
  set(".size", formatSize(entry.size));
  return row;
}

function preview({ payload, size, name }) {
  if (size === 0) return "(empty)";
  if (payload === undefined) return name ?? "(too large to keep)";
  if (typeof payload === "string") return previewText(payload, 200);
  return name ?? previewBytes(payload, 24);
}

function messageBody(entry, width) {
  const body = element("div", "body");
  const { payload } = entry;
  if (payload === undefined) {
    body.append(element("p", "hint", `Dropped: the log keeps the newest ${formatSize(MAX_PAYLOAD_BYTES)} of content.`));
    return body;
  }
  const isText = typeof payload === "string";
  const shown = isText ? MAX_TEXT_SHOWN : MAX_BYTES_DUMPED;
  body.append(element("pre", "", isText ? harmless(payload.slice(0, shown)) : hexDump(payload.subarray(0, shown), width < 560 ? 8 : 16)));
  const actions = element("div", "actions");
  if (payload.length > shown) actions.append(element("span", "hint", `The first ${formatSize(shown)} of ${formatSize(entry.size)}`));
  if (isText && navigator.clipboard) actions.append(button("Copy", () => navigator.clipboard.writeText(payload)));
  actions.append(button("Download", () => download(payload, entry.name ?? `message.${isText ? "txt" : "bin"}`)));
  if (entry.compressed && entry.size > 0 && "CompressionStream" in window) actions.prepend(ratio(payload, entry.size));
  body.append(actions);
  return body;
}

// Filled in once known. With context takeover the message is smaller on the wire.
function ratio(payload, size) {
  const hint = element("span", "hint ratio");
  deflatedSize(payload).then((deflated) => {
    hint.textContent = `Deflates to ${formatSize(deflated)} on its own, ${Math.round((100 * deflated) / size)} %`;
  });
  return hint;
}

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

function button(label, action) {
  const made = element("button", "quiet", label);
  made.type = "button";
  made.addEventListener("click", action);
  return made;
}

function download(payload, name) {
  const url = URL.createObjectURL(new Blob([payload], { type: "application/octet-stream" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
