// The connection, and the page around it.

import { CODES, describeCode, explainClose, pageMaySend } from "./codes.js";
import { Echoes } from "./echo.js";
import { formatCount, formatSize, utf8Length } from "./format.js";
import { oncePerFrame } from "./frames.js";
import { Log } from "./log.js";
import { beginNav } from "./nav.js";
import { RoundTrips } from "./round-trips.js";
import { Topics } from "./topics.js";

const MAX_REASON_BYTES = 123; // the room in a close frame after the code
const MAX_RECALLED = 50;
const DRAIN_MS = 60;

const $ = (id) => document.getElementById(id);

const log = new Log({ list: $("log"), empty: $("log-empty"), newest: $("newest"), follow: $("follow") });
const echoes = new Echoes();
const roundTrips = new RoundTrips({ echoes, isOpen, send });
const topics = new Topics({
  card: $("topics"), totals: $("topic-totals"), form: $("topics-form"), topic: $("topic"), data: $("data"),
  subscribe: $("subscribe"), publish: $("publish"), error: $("topics-error"), rows: $("topic-rows"), empty: $("topics-empty"),
}, (text) => isOpen() && send(text, { kind: "text" }));

let socket = null; // from connect() to its close event
let opened = false;
let closeAsked = false;
const totals = { out: { messages: 0, bytes: 0 }, in: { messages: 0, bytes: 0 } };

// ---- the connection --------------------------------------------------------------------------

function connect() {
  showError("open-error", null);
  const url = completeUrl($("url").value.trim());
  const protocols = $("protocols").value.split(/[\s,]+/).filter(Boolean);
  try {
    socket = new WebSocket(url, protocols);
  } catch (error) {
    // The address or a subprotocol is malformed, or an https page asked for ws.
    showError("open-error", error.message.replace(/^Failed to construct 'WebSocket': /, ""));
    return;
  }
  opened = false;
  closeAsked = false;
  socket.binaryType = "arraybuffer";
  socket.addEventListener("open", handleOpen);
  socket.addEventListener("message", handleMessage);
  socket.addEventListener("close", handleClose);
  log.system({ kind: "note", title: "Connecting", text: `to ${socket.url}` });
  roundTrips.begin(socket.url);
  $("too-big").hidden = true;
  $("far-end").textContent = new URL(socket.url).host;
  $("detail").textContent = "";
  setState("connecting");
}

// Completes typed addresses: without a scheme, or with an http one.
function completeUrl(typed) {
  const secure = location.protocol === "https:";
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(typed)) return `${secure ? "wss" : "ws"}://${typed}`;
  return typed.replace(/^http/i, "ws");
}

function handleOpen() {
  opened = true;
  const agreed = `protocol ${socket.protocol || "none"}, extensions ${socket.extensions || "none"}`;
  log.system({ kind: "open", title: "Open", text: agreed, good: true });
  $("detail").textContent = `${socket.protocol || "No subprotocol"} · ${socket.extensions || "no extensions"}`;
  setState("open");
  topics.opened(socket.protocol);
  if (!matchMedia("(pointer: coarse)").matches) $("message").focus();
}

function handleMessage({ data }) {
  const now = performance.now();
  const sent = echoes.received(data);
  const isText = typeof data === "string";
  const payload = isText ? data : new Uint8Array(data);
  const size = isText ? utf8Length(data) : payload.length;
  count("in", size);
  if (isText) topics.received(data);
  if (sent) roundTrips.add(now, now - sent.at);
  if (sent?.unlogged) return;
  log.message({
    direction: "in",
    kind: sent?.ping ? "ping" : isText ? "text" : "binary",
    payload,
    size,
    name: sent?.name,
    rtt: sent ? now - sent.at : undefined,
    compressed: isCompressed(),
  });
}

function handleClose(event) {
  const { title, text, good } = explainClose(event, { opened, ours: closeAsked });
  log.system({ kind: "close", title, text, good, code: event.code });
  $("detail").textContent = `${title}. ${text}`;
  if (event.code === 1009) explainTooBig();
  markCode(event.code);
  echoes.clear();
  socket = null;
  topics.closed();
  setState("closed");
}

// The refused message is most likely the largest one that had no answer yet.
function explainTooBig() {
  const largest = echoes.largest;
  $("too-big").hidden = false;
  $("too-big").textContent = largest > 0
    ? `The server refused a message of ${formatSize(largest)} as too big (1009). Its limit is below that: send a smaller message, or raise the server's limit.`
    : "The server closed with 1009: a message exceeded its limit.";
}

function disconnect() {
  showError("close-error", null);
  const typed = $("close-code").value.trim();
  const reason = $("close-reason").value;
  const problem = socket.readyState === WebSocket.OPEN ? closeProblem(typed, reason) : null;
  if (problem) {
    showError("close-error", problem);
    return;
  }
  closeAsked = true;
  if (typed === "" || socket.readyState !== WebSocket.OPEN) socket.close();
  else socket.close(Number(typed), reason);
  setState("closing");
}

function closeProblem(typed, reason) {
  if (typed === "") return reason === "" ? null : "A reason needs a close code.";
  if (!/^\d{4}$/.test(typed) || !pageMaySend(Number(typed))) return `A page may close with 1000 or 3000 to 4999, not with ${typed}.`;
  const length = utf8Length(reason);
  return length > MAX_REASON_BYTES ? `The reason has ${length} bytes; the limit is ${MAX_REASON_BYTES}.` : null;
}

function setState(state) {
  const isOpen = state === "open";
  const isClosed = state === "closed" || state === "idle";
  const hadFocus = $("connection").contains(document.activeElement);
  $("state").textContent = state === "idle" ? "not connected" : state; // a connection that never existed is not closed
  $("state").dataset.state = state;
  $("connection").dataset.state = state;
  $("open-form").hidden = !isClosed;
  $("close-form").hidden = isClosed;
  $("disconnect").textContent = state === "connecting" ? "Cancel" : "Disconnect";
  for (const id of ["close-code", "close-reason", "send", "file"]) $(id).disabled = !isOpen;
  if (hadFocus) $(isClosed ? "connect" : "disconnect").focus(); // its form may just have been hidden
  drawRope(state);
  roundTrips.changed();
}

// Two halves, so that the shapes can animate: slack while connecting, taut when open, parted otherwise.
function drawRope(state) {
  const halves = {
    idle: ["C9 8 21 14 28 34", "C91 8 79 14 72 34"],
    closed: ["C9 8 21 14 28 34", "C91 8 79 14 72 34"],
    connecting: ["C16 26 33 34 50 34", "C84 26 67 34 50 34"],
    open: ["C16 8 33 8 50 8", "C84 8 67 8 50 8"],
    closing: ["C16 15 33 19 50 19", "C84 15 67 19 50 19"],
  }[state];
  for (const id of ["rope", "strands"]) $(id).setAttribute("d", `M0 8${halves[0]}M100 8${halves[1]}`);
}

// ---- sending ---------------------------------------------------------------------------------

// `about`: { kind, name?, ping?, unlogged? }
function send(payload, about) {
  const size = typeof payload === "string" ? utf8Length(payload) : payload.length;
  echoes.sent({ ...about, payload, size, at: performance.now() });
  socket.send(payload);
  count("out", size);
  if (!about.unlogged) log.message({ direction: "out", payload, size, compressed: isCompressed(), ...about });
  watchDraining();
}

function isCompressed() {
  return socket?.extensions.includes("permessage-deflate") ?? false;
}

function isOpen() {
  return socket?.readyState === WebSocket.OPEN;
}

function sendText() {
  if (!isOpen()) return;
  const text = $("message").value;
  send(text, { kind: "text" });
  recall.keep(text);
  $("message").value = "";
  showMessageSize();
}

async function sendFiles(files) {
  for (const file of files) {
    try {
      const bytes = new Uint8Array(await file.arrayBuffer());
      if (!isOpen()) throw new Error("the connection is not open");
      send(bytes, { kind: "binary", name: file.name });
    } catch (error) {
      log.system({ kind: "note", title: "Not sent", text: `${file.name}: ${error.message}`, good: false });
    }
  }
}

// Recalls sent messages with the arrow keys, as in a shell.
const recall = {
  texts: [],
  index: 0,
  keep(text) {
    if (text !== "" && this.texts.at(-1) !== text) this.texts.push(text);
    if (this.texts.length > MAX_RECALLED) this.texts.shift();
    this.index = this.texts.length;
  },
  // Only if the field is empty or holds a recalled text, so that no draft is overwritten.
  move(step) {
    const current = $("message").value;
    if (current !== "" && current !== this.texts[this.index]) return false;
    const index = Math.min(Math.max(this.index + step, 0), this.texts.length);
    if (index === this.index) return false;
    this.index = index;
    $("message").value = this.texts[index] ?? "";
    showMessageSize();
    return true;
  },
};

function handleMessageKey(event) {
  if (event.isComposing) return;
  const plain = !event.shiftKey && !event.altKey;
  // Touch keyboards have no Shift+Enter: there Enter breaks the line and the button sends.
  const enterSends = event.ctrlKey || event.metaKey || !matchMedia("(pointer: coarse)").matches;
  const handled = (event.key === "Enter" && plain && enterSends && (sendText(), true))
    || (event.key === "ArrowUp" && plain && recall.move(-1))
    || (event.key === "ArrowDown" && plain && recall.move(1));
  if (handled) event.preventDefault();
}

function showMessageSize() {
  $("message-size").textContent = formatSize(utf8Length($("message").value));
}

// Shows how much the browser has queued and not yet written. A small message is gone before the
// first check.
let drainPeak = 0;
let drainTimer = null;

function watchDraining() {
  drainPeak = Math.max(drainPeak, socket.bufferedAmount);
  drainTimer ??= setTimeout(showDraining, DRAIN_MS);
}

function showDraining() {
  const left = socket?.bufferedAmount ?? 0;
  if (left === 0) drainPeak = 0;
  $("draining").hidden = left === 0;
  $("drain-bar").value = left === 0 ? 0 : 1 - left / drainPeak;
  $("drain-text").textContent = `${formatSize(left)} still to send`;
  drainTimer = left > 0 ? setTimeout(showDraining, DRAIN_MS) : null;
}

function count(direction, size) {
  totals[direction].messages += 1;
  totals[direction].bytes += size;
  scheduleTotals();
}

const scheduleTotals = oncePerFrame(() => {
  const say = (arrow, { messages, bytes }) => `${arrow}\u00a0${formatCount(messages)}\u00a0(${formatSize(bytes).replace(" ", "\u00a0")})`;
  $("totals").textContent = `${say("↑", totals.out)} ${say("↓", totals.in)}`;
});

// ---- the page --------------------------------------------------------------------------------

function showError(id, text) {
  $(id).hidden = text === null;
  $(id).textContent = text ?? "";
}

function fillReference() {
  for (const { code, to, name, means } of CODES) {
    const row = document.createElement("div");
    for (const [tag, text] of [["dt", to ? `${code}–${to}` : code], ["dt", name], ["dd", means]]) {
      row.appendChild(document.createElement(tag)).textContent = text;
    }
    $("codes").append(row);
  }
}

function markCode(code) {
  const index = CODES.indexOf(describeCode(code));
  [...$("codes").children].forEach((row, at) => row.classList.toggle("marked", at === index));
}

function acceptDrops() {
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  let depth = 0; // enter and leave fire for every element on the way
  const over = (change) => (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth = Math.max(0, depth + change);
    $("drop").hidden = depth === 0 || !isOpen();
  };
  addEventListener("dragenter", over(1));
  addEventListener("dragleave", over(-1));
  addEventListener("dragover", over(0));
  addEventListener("drop", (event) => {
    over(-Infinity)(event);
    if (carriesFiles(event)) sendFiles([...event.dataTransfer.files]);
  });
}

function submits(form, action) {
  $(form).addEventListener("submit", (event) => {
    event.preventDefault();
    action();
  });
}

// A server with topics does not echo: they take the place of the round trips.
async function beginTopics() {
  const protocol = await topics.begin();
  if (protocol === null) return;
  roundTrips.hide();
  if ($("protocols").value === "") $("protocols").value = protocol;
}

function start() {
  // Also behind a proxy that adds to the path.
  const path = location.host === "" ? "/" : new URL("..", import.meta.url).pathname;
  $("url").value = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host || "localhost:9001"}${path}`;
  $("far-end").textContent = location.host;
  fillReference();
  acceptDrops();
  setState("idle");
  scheduleTotals();

  submits("open-form", connect);
  submits("close-form", disconnect);
  submits("send-form", sendText);
  $("message").addEventListener("keydown", handleMessageKey);
  $("message").addEventListener("input", showMessageSize);
  $("file").addEventListener("change", () => {
    sendFiles([...$("file").files]);
    $("file").value = ""; // so that the same file can be chosen again
  });
  $("clear").addEventListener("click", () => log.clear());
  const filter = () => log.filter($("filter").value, $("show").value);
  $("filter").addEventListener("input", filter);
  $("show").addEventListener("change", filter);
  beginNav();
  beginTopics();
}

start();
