// The server's page: asks for the connections once a second.

import { ask, giveToken } from "./access.js";
import { describeCode } from "./codes.js";
import { describeFailure } from "./failures.js";
import { formatCount, formatMilliseconds, formatRate, formatSize, harmless } from "./format.js";
import { beginNav } from "./nav.js";
import { Series } from "./series.js";

const POLL_MS = 1000;
const LEAST = 0.8; // seconds between two lists that make a rate
const LIVE = new URL("live.json", import.meta.url);
const CLOSE = new URL("close", import.meta.url);

const NO_TOKEN = "The connections are shown to browsers that have the token of this server. "
  + "Open the address that it has printed, or enter the token.";

const $ = (id) => document.getElementById(id);

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const messagesPlot = new Series($("messages-plot"), [
  { style: "in", name: "received" }, { style: "out", name: "sent" },
], (value) => compact.format(value), draw);
const connectionsPlot = new Series($("connections-plot"), [
  { style: "open", name: "open" }, { style: "closed", name: "closed per second" },
], (value) => compact.format(value), draw);

let last = null; // the list before, and when it came
let sort = "age";
let mayClose = true;
let paused = false;
let timer = null;

// ---- asking ----------------------------------------------------------------------------------

async function poll() {
  clearTimeout(timer);
  const wanted = sort;
  try {
    const response = await ask(`${LIVE}?sort=${encodeURIComponent(wanted)}`);
    $("token-form").hidden = response.status !== 401;
    if (!response.ok) {
      refuse(response.status === 401 ? NO_TOKEN : (await response.text()).trim());
      if ([401, 403].includes(response.status)) return; // asking again does not help
    } else {
      const list = await response.json();
      refuse(null);
      if (wanted === sort && !paused) show({ ...list, at: performance.now() });
    }
  } catch {
    refuse("The server does not answer.");
    last = null;
  }
  schedule();
}

function schedule() {
  clearTimeout(timer);
  if (!paused && !document.hidden) timer = setTimeout(poll, POLL_MS);
}

function refuse(why) {
  $("refusal").hidden = why === null;
  if ($("refusal").textContent !== (why ?? "")) $("refusal").textContent = why ?? "";
}

// ---- showing ---------------------------------------------------------------------------------

function show(list) {
  const seconds = last === null ? 0 : (list.at - last.at) / 1000;
  const rate = (count) => Math.max(0, (count(list) - count(last)) / seconds);
  figure("connections", formatCount(list.connections));
  figure("total", formatCount(list.total));
  figure("queued", formatSize(list.queued));
  $("about").textContent = `Mode ${list.mode}, ${formatCount(list.connections)} ${list.connections === 1 ? "connection" : "connections"}`;
  // The server makes a list twice a second at most: two that come fast can be the same.
  if (seconds > LEAST) {
    const gap = seconds > 3 * (POLL_MS / 1000);
    const [messagesIn, messagesOut] = [rate(({ received }) => received.messages), rate(({ sent }) => sent.messages)];
    figure("in", formatRate(messagesIn));
    figure("bytes-in", `${formatSize(Math.round(rate(({ received }) => received.bytes)))}/s`);
    figure("out", formatRate(messagesOut));
    figure("bytes-out", `${formatSize(Math.round(rate(({ sent }) => sent.bytes)))}/s`);
    messagesPlot.add(list.at, [messagesIn, messagesOut], gap);
    connectionsPlot.add(list.at, [list.connections, rate(ended)], gap);
    draw();
  }
  showRows(list);
  showEnds(list.ends);
  showCodes(list);
  showFailures(list);
  if (last === null || seconds > LEAST) last = list;
}

function ended({ closed }) {
  return Object.values(closed).reduce((sum, count) => sum + count, 0);
}

function figure(name, text) {
  const shown = document.querySelector(`[data-figure="${name}"]`);
  if (shown.textContent !== text) shown.textContent = text;
}

function draw() {
  const [now, span] = [performance.now(), Number($("span").value) * 1000];
  messagesPlot.draw(now, span);
  connectionsPlot.draw(now, span);
}

const COLUMNS = [
  ["address", "address", ({ address, tls }) => (tls ? `${address} 🔒` : address)],
  ["path", "path", ({ path }) => path],
  ["since", "number", ({ age }) => formatAge(age)],
  ["agreed on", "agreed", agreed],
  ["received", "number", ({ received }) => formatCount(received.messages)],
  ["bytes", "number", ({ received }) => formatSize(received.bytes)],
  ["sent", "number", ({ sent }) => formatCount(sent.messages)],
  ["bytes", "number", ({ sent }) => formatSize(sent.bytes)],
  ["queued", "number", ({ queued }) => (queued === 0 ? "–" : formatSize(queued))],
  ["ping", "number", ({ ping }) => (ping === null ? "–" : formatMilliseconds(ping / 1000))],
];

function agreed({ protocol, compression, tls, http }) {
  const parts = [protocol, compression && "deflate", tls, http === "HTTP/2.0" && "HTTP/2"];
  return parts.filter(Boolean).join(", ") || "–";
}

// Rows stay the same elements, so that a click or the focus is not lost to a new list.
function showRows({ list, connections }) {
  const rows = $("rows");
  const known = new Map([...rows.children].map((row) => [row.dataset.id, row]));
  list.forEach((connection, index) => {
    const row = fill(known.get(String(connection.id)) ?? newRow(connection.id), connection);
    known.delete(String(connection.id));
    if (rows.children[index] !== row) rows.insertBefore(row, rows.children[index] ?? null);
  });
  for (const gone of known.values()) gone.remove();
  $("rows-empty").hidden = list.length > 0;
  $("listed").textContent = list.length < connections
    ? `the first ${formatCount(list.length)} of ${formatCount(connections)}` : "";
}

function newRow(id) {
  const row = document.createElement("tr");
  row.dataset.id = id;
  for (const [name, style] of COLUMNS) {
    const cell = row.appendChild(document.createElement("td"));
    cell.className = style;
    cell.dataset.name = name;
  }
  const button = row.appendChild(document.createElement("td")).appendChild(document.createElement("button"));
  button.type = "button";
  button.className = "close";
  button.textContent = "Close";
  return row;
}

function fill(row, connection) {
  COLUMNS.forEach(([, , text], index) => {
    const [cell, wanted] = [row.children[index], text(connection)];
    if (cell.textContent !== wanted) cell.textContent = wanted;
  });
  row.children[3].title = connection.compression;
  const button = row.lastChild.firstChild;
  button.setAttribute("aria-label", `Close the connection of ${connection.address}`);
  button.hidden = !mayClose;
  button.disabled = !connection.open;
  return row;
}

function showEnds(ends) {
  const items = ends.map(({ code, address, path, reason, by, clean, lasted, ago, words }) => {
    const item = document.createElement("li");
    item.dataset.code = code;
    item.dataset.clean = clean;
    item.title = words;
    const say = (style, text) => {
      const part = item.appendChild(document.createElement("span"));
      part.className = style;
      part.textContent = text;
    };
    say("code", code);
    say("name", harmless(reason) || describeCode(code).name);
    say("who", `${address} ${path}, by the ${by} after ${formatAge(lasted)}`);
    say("ago", `${formatAge(ago)} ago`);
    return item;
  });
  $("ends").replaceChildren(...items);
  $("ends-empty").hidden = items.length > 0;
}

function showCodes({ closed, rejected }) {
  const rows = [
    ...Object.entries(closed).map(([code, count]) => [code, describeCode(Number(code)).name, count]),
    ...Object.entries(rejected).map(([status, count]) => [status, "handshakes refused", count]),
  ];
  showCounts($("server-codes"), rows);
  $("codes-empty").hidden = rows.length > 0;
}

function showFailures({ failed }) {
  const rows = Object.entries(failed).map(([code, count]) => [code, describeFailure(code), count]);
  showCounts($("server-failures"), rows);
  $("failures").hidden = rows.length === 0;
}

// A bar for each, with a code, its name, and how often it came.
function showCounts(place, rows) {
  const most = Math.max(1, ...rows.map(([, , count]) => count));
  place.replaceChildren(...rows.map(([code, name, count]) => {
    const row = document.createElement("div");
    row.dataset.code = code;
    row.dataset.count = count;
    for (const [tag, style, text] of [["dt", "code", code], ["dt", "name", name], ["dd", "count", formatCount(count)]]) {
      const part = row.appendChild(document.createElement(tag));
      part.className = style;
      part.textContent = text;
    }
    const bar = row.appendChild(document.createElement("dd"));
    bar.className = "bar";
    bar.setAttribute("aria-hidden", "true");
    bar.appendChild(document.createElement("span")).style.width = `${(count / most) * 100}%`;
    return row;
  }));
}

function formatAge(ms) {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 1) return `${ms} ms`;
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} days`;
}

// ---- the page --------------------------------------------------------------------------------

function sortBy(order) {
  sort = order;
  if ([...$("sort").options].some(({ value }) => value === order)) $("sort").value = order;
  for (const head of document.querySelectorAll("th[data-sort]")) {
    const isThis = head.dataset.sort === order.replace(/^-/, "");
    if (isThis) head.setAttribute("aria-sort", order.startsWith("-") ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  }
  poll();
}

// Names begin at A, and numbers with the largest; a second click turns it round.
function sortByHead(name) {
  const first = ["address", "path", "age"].includes(name) ? name : `-${name}`;
  const other = first.startsWith("-") ? name : `-${name}`;
  sortBy(sort === first ? other : first);
}

function enterToken() {
  const isToken = giveToken($("token").value);
  $("token-error").hidden = isToken;
  $("token-error").textContent = isToken ? "" : "This is no token: it has 16 to 256 letters, digits and characters of -._~";
  if (!isToken) return;
  $("token").value = "";
  poll();
}

async function close(id) {
  let problem = null;
  try {
    const response = await ask(`${CLOSE}?id=${id}`, { method: "POST" });
    if (response.status === 403) mayClose = false;
    if (!response.ok) problem = (await response.text()).trim();
  } catch {
    problem = "The server does not answer.";
  }
  $("close-error").hidden = problem === null;
  $("close-error").textContent = problem ?? "";
  poll();
}

function start() {
  for (const head of document.querySelectorAll("th[data-sort] button")) {
    head.addEventListener("click", () => sortByHead(head.closest("th").dataset.sort));
  }
  $("sort").addEventListener("change", () => sortBy($("sort").value));
  $("span").addEventListener("change", draw);
  $("rows").addEventListener("click", ({ target }) => {
    const button = target.closest(".close");
    if (button) close(button.closest("tr").dataset.id);
  });
  $("pause").addEventListener("click", () => {
    paused = !paused;
    $("pause").setAttribute("aria-pressed", paused);
    $("pause").textContent = paused ? "Continue" : "Pause";
    if (!paused) poll();
  });
  $("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    enterToken();
  });
  for (const event of ["hashchange", "storage"]) addEventListener(event, poll); // with another token
  document.addEventListener("visibilitychange", () => document.hidden || paused || poll());
  beginNav();
  sortBy("age");
}

start();
