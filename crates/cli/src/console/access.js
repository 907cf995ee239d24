// The token of the console, which the server wants from a browser that asks for its connections. It comes in
// the fragment of the URL that `towline serve` prints. Browsers send no fragment to anybody.

const HEADER = "X-Towline-Console";
const TOKEN = /^[A-Za-z0-9._~-]{16,256}$/;

// One for each server, also behind a proxy that adds to the path.
const KEY = `towline-token ${new URL(".", import.meta.url).pathname}`;

const LIVE = new URL("live.json", import.meta.url);

const REFUSED = "The server has refused this token: it is not the one of its console. The right one is at the end of "
  + "the address that towline serve prints when it starts, or was chosen with --console-token.";
const NO_TOKEN = "What the address had after #token= is no token: it has 16 to 256 letters, digits and characters of -._~. "
  + "Copy the whole address that towline serve prints when it starts.";

let token = null; // if it can't be kept
let offered = null; // until the server has accepted it: any page can link to this one with a token
let checking = null;

function tokenIn(text) {
  const [, found = null] = /#token=([A-Za-z0-9._~-]{16,256})$/.exec(text) ?? [];
  return found;
}

function takeFromAddress() {
  const found = tokenIn(location.hash);
  if (found !== null) {
    offered = found;
  } else if (location.hash.startsWith("#token=")) {
    clearAddress();
    complain(NO_TOKEN);
  }
}

// So that a token is not seen, and not copied with the address.
function clearAddress() {
  history.replaceState(null, "", location.pathname + location.search);
}

function complain(why) {
  const shown = document.getElementById("token-refused");
  shown.hidden = why === null;
  shown.textContent = why ?? "";
}

// Storage may be forbidden (a sandboxed frame, private windows): the token then stays in the address.
function keep(found) {
  try {
    localStorage.setItem(KEY, found);
    return true;
  } catch {
    return false;
  }
}

function recall() {
  try { return localStorage.getItem(KEY); } catch { return null; }
}

takeFromAddress();

// An address that differs in its fragment alone loads nothing.
addEventListener("hashchange", () => {
  takeFromAddress();
  settle().catch(() => {}); // the next to ask tries again
});

// Asks the server for something that is not for everybody. The header says that it is this page which asks,
// also where no token is needed.
export async function ask(url, options = {}) {
  await settle();
  // Another page may have been given it meanwhile.
  return send(url, recall() ?? token ?? "none", options);
}

function send(url, token, options = {}) {
  return fetch(url, { ...options, headers: { [HEADER]: token } });
}

async function settle() {
  if (offered === null) return;
  checking ??= check().finally(() => { checking = null; });
  await checking;
}

// Keeps a token that the server accepts, in place of another. One that was kept or refused is taken out of the
// address.
async function check() {
  const given = offered;
  const { ok, status } = given === recall() ? { ok: true, status: 200 } : await send(LIVE, given);
  if (offered === given && status < 500) offered = null;
  const isRefused = status === 401;
  if (ok) token = given;
  const isKept = ok && keep(given);
  if (tokenIn(location.hash) === given && (isKept || isRefused)) clearAddress();
  if (ok || isRefused) complain(isRefused ? REFUSED : null);
}

// Takes a token, or a URL with one. Says whether it is one.
export function giveToken(text) {
  const typed = text.trim();
  const given = TOKEN.test(typed) ? typed : tokenIn(typed);
  if (given === null) return false;
  offered = given;
  return true;
}
