// The token of the console, which the server wants from a browser that asks for its connections. It comes in
// the fragment of the URL that `towline serve` prints. Browsers send no fragment to anybody.

const HEADER = "X-Towline-Console";
const TOKEN = /^[A-Za-z0-9._~-]{16,256}$/;

// One for each server, also behind a proxy that adds to the path.
const KEY = `towline-token ${new URL(".", import.meta.url).pathname}`;

const LIVE = new URL("live.json", import.meta.url);

let token = null; // if it can't be kept
let offered = tokenIn(location.hash); // until the server has accepted it: any page can link to this one with a token
let checking = null;

function tokenIn(text) {
  const [, found = null] = /#token=([A-Za-z0-9._~-]{16,256})$/.exec(text) ?? [];
  return found;
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

// An address that differs in its fragment alone loads nothing.
addEventListener("hashchange", () => {
  offered = tokenIn(location.hash) ?? offered;
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

// Keeps a token that the server accepts, in place of another. It is taken out of the address, so that it is not seen,
// and not copied with it.
async function check() {
  const given = offered;
  const { ok, status } = given === recall() ? { ok: true, status: 200 } : await send(LIVE, given);
  if (offered === given && status < 500) offered = null;
  if (!ok) return;
  token = given;
  if (keep(given) && tokenIn(location.hash) === given) {
    history.replaceState(null, "", location.pathname + location.search);
  }
}

// Takes a token, or a URL with one. Says whether it is one.
export function giveToken(text) {
  const typed = text.trim();
  const given = TOKEN.test(typed) ? typed : tokenIn(typed);
  if (given === null) return false;
  offered = given;
  return true;
}
