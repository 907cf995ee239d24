// The chat of `towline serve --mode chat`, by the subprotocol towline.chat.v1 of docs/serve.md.

import { explainClose } from "./codes.js";
import { formatCount, harmless } from "./format.js";
import { whyNoName, whyNoRoom } from "./names.js";
import { beginNav, fetchMode, whyHidden } from "./nav.js";

const PROTOCOL = "towline.chat.v1";
const POLL_MS = 3000;
const MAX_SHOWN = 500;
const RETRY_MS = [1000, 2000, 5000, 10_000];
const KEY = "towline-chat-name";

const $ = (id) => document.getElementById(id);

let socket = null;
let me = null; // the name that the server gave
let people = 0;
let names = new Set();
let seen = 0; // the number of the last that was said
let leaving = false;
let retries = 0;
let retryTimer = null;

// ---- the connection --------------------------------------------------------------------------

// The chat is where this page came from, without the part that is the console's.
function address() {
  const base = new URL("../", import.meta.url);
  base.protocol = base.protocol === "https:" ? "wss:" : "ws:";
  const room = $("room").value.trim();
  const path = room === "" ? "lobby" : room.split("/").map(encodeURIComponent).join("/");
  const url = new URL(path, base);
  const name = $("name").value.trim();
  if (name !== "") url.searchParams.set("name", name);
  return url;
}

function enter() {
  clearTimeout(retryTimer);
  showError(null);
  leaving = false;
  let opened = false;
  const again = retries > 0;
  const mine = new WebSocket(address(), PROTOCOL);
  socket = mine;
  mine.addEventListener("open", () => {
    opened = true;
    retries = 0;
    if (again) news("Connected again.");
  });
  mine.addEventListener("message", ({ data }) => socket === mine && receive(JSON.parse(data)));
  mine.addEventListener("close", (event) => socket === mine && closed(event, opened));
  setState("connecting");
}

function closed(event, opened) {
  socket = null;
  me = null;
  setState("closed");
  if (leaving) {
    seen = 0;
    focusOnEntry();
    return news("You have left.");
  }
  const { title, text } = explainClose(event, { opened, ours: false });
  if (!opened && retries === 0) {
    showError("The chat can't be entered: the server is gone, is full, or refuses this page. Its log says why.");
    return;
  }
  news(`${title}. ${text}`);
  const wait = RETRY_MS[Math.min(retries, RETRY_MS.length - 1)] * (0.8 + Math.random() * 0.4);
  retries += 1;
  news(`Trying again in ${Math.round(wait / 1000)} s.`);
  retryTimer = setTimeout(enter, wait);
}

function leave() {
  leaving = true;
  clearTimeout(retryTimer);
  if (socket) socket.close(1000, "left");
  else setState("idle");
}

// Says what the server would refuse, by the field that has it.
function isAllowed() {
  const fields = [["name", whyNoName], ["room", whyNoRoom]];
  for (const [id, whyNot] of fields) {
    const why = whyNot($(id).value.trim());
    $(id).setAttribute("aria-invalid", why !== null);
    if (why === null) continue;
    showError(`Not entered: ${why}.`);
    $(id).focus();
    return false;
  }
  return true;
}

function receive(message) {
  if (message.room !== undefined) welcome(message);
  else if (message.say !== undefined) said(message);
  else if (message.joined !== undefined) changed(message, `${message.joined} has joined.`, () => names.add(message.joined));
  else if (message.left !== undefined) changed(message, `${message.left} has left.`, () => names.delete(message.left));
  else if (message.renamed !== undefined) renamed(message);
  else if (message.skipped !== undefined) news(`${formatCount(message.skipped)} messages skipped: this connection is slow.`);
  else if (message.error !== undefined) showError(message.error);
}

function welcome({ room, you, people: count, names: known, said: before }) {
  me = you;
  people = count;
  names = new Set(known);
  remember(you);
  $("where").textContent = room;
  $("talk-title").textContent = room;
  setState("open");
  // Who comes from the list of rooms is below the messages, on a narrow screen.
  if (seen === 0) scrollTo(0, 0);
  before.forEach(said);
  showPeople();
  pollRooms({ always: true });
  focusOn("text");
}

// A keyboard on the screen comes when it is asked for.
function focusOn(id) {
  if (!matchMedia("(pointer: coarse)").matches) $(id).focus();
}

// What is to be filled in first.
function focusOnEntry() {
  focusOn($("name").value === "" ? "name" : "enter");
}

// After a reconnection, what was seen before comes again.
function said({ number, from, say, at }) {
  if (number <= seen) return;
  seen = number;
  showError(null);
  const item = document.createElement("li");
  item.className = "said";
  item.dataset.from = from;
  item.dataset.mine = from === me;
  const time = document.createElement("time");
  const date = new Date(at);
  time.dateTime = date.toISOString();
  time.textContent = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  item.append(part("from", from), time, part("text", say));
  append(item);
}

function changed({ people: count }, text, change) {
  people = count;
  change();
  showPeople();
  news(text);
}

function renamed({ renamed: from, to }) {
  names.delete(from);
  names.add(to);
  if (from === me) {
    me = to;
    remember(to);
  }
  showPeople();
  news(`${from} is now ${to}.`);
}

// ---- showing ---------------------------------------------------------------------------------

function part(style, text) {
  const made = document.createElement("span");
  made.className = style;
  made.textContent = harmless(text);
  return made;
}

function news(text) {
  const item = document.createElement("li");
  item.className = "news";
  item.textContent = harmless(text);
  append(item);
}

// Follows the newest, unless somebody reads further up.
function append(item) {
  const list = $("said");
  const follows = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  list.append(item);
  while (list.children.length > MAX_SHOWN) list.firstChild.remove();
  if (follows) list.scrollTop = list.scrollHeight;
}

function showPeople() {
  const sorted = [...names].sort((a, b) => a.localeCompare(b));
  $("people").replaceChildren(...sorted.map((name) => {
    const item = document.createElement("li");
    item.textContent = name;
    item.classList.toggle("you", name === me);
    return item;
  }));
  $("you").textContent = `You are ${me}. ${formatCount(people)} ${people === 1 ? "person is" : "people are"} here.`;
}

// A page that nobody sees asks only when it has entered a room.
async function pollRooms({ always = false } = {}) {
  const mode = document.hidden && !always ? null : await fetchMode();
  if (mode?.mode !== "chat") return;
  const here = me === null ? null : $("where").textContent;
  $("rooms").replaceChildren(...(mode.list ?? []).map(({ name, people: count }) => {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.name = name;
    button.setAttribute("aria-current", name === here);
    button.append(part("", name), part("", formatCount(count)));
    return button;
  }));
  // The list may be older than this page's own entry.
  $("rooms-empty").hidden = mode.list === undefined ? mode.needs !== "token" : mode.list.length > 0 || me !== null;
  $("rooms-empty").textContent = mode.list === undefined ? whyHidden(mode) : "Nobody is here yet.";
}

function setState(state) {
  const words = { idle: "not connected", closed: leaving ? "not connected" : "closed" };
  const isOpen = state === "open";
  const isIn = isOpen || (state !== "idle" && !leaving && (retries > 0 || !$("here").hidden));
  $("state").dataset.state = state;
  $("state").textContent = words[state] ?? state;
  $("enter-form").hidden = isIn;
  $("here").hidden = !isIn;
  $("enter").disabled = state === "connecting";
  for (const id of ["text", "say"]) $(id).disabled = !isOpen;
}

function showError(text) {
  $("chat-error").hidden = text === null;
  $("chat-error").textContent = text ?? "";
}

// ---- the page --------------------------------------------------------------------------------

function send() {
  const text = $("text").value.trim();
  if (text === "" || socket?.readyState !== WebSocket.OPEN) return;
  const name = /^\/name (.+)$/.exec(text);
  socket.send(JSON.stringify(name ? { name: name[1] } : { say: text }));
  $("text").value = "";
}

// Storage may be forbidden (a sandboxed frame, private windows).
function remember(name) {
  $("name").value = name;
  try { localStorage.setItem(KEY, name); } catch { /* see above */ }
}

function recall() {
  try { return localStorage.getItem(KEY) ?? ""; } catch { return ""; }
}

function submits(form, action) {
  $(form).addEventListener("submit", (event) => {
    event.preventDefault();
    action();
  });
}

// Another room is another connection.
function change(room) {
  const old = socket;
  socket = null;
  old?.close(1000, "to another room");
  seen = 0;
  $("room").value = room;
  $("said").replaceChildren();
  enter();
}

function start() {
  $("name").value = recall();
  submits("enter-form", () => {
    if (!isAllowed()) return;
    $("said").replaceChildren();
    seen = 0;
    retries = 0;
    enter();
  });
  submits("say-form", send);
  $("leave").addEventListener("click", leave);
  $("rooms").addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    if (button) change(button.dataset.name);
  });
  setInterval(pollRooms, POLL_MS);
  document.addEventListener("visibilitychange", () => pollRooms());
  beginNav();
  pollRooms();
  focusOnEntry();
}

start();
