// The token of the console, which the server wants from a browser that asks for its connections. It comes in
// the fragment of the URL that `towline serve` prints. Browsers send no fragment to anybody.

const HEADER = "X-Towline-Console";
const TOKEN = /^[A-Za-z0-9._~-]{16,256}$/;

// One for each server, also behind a proxy that adds to the path.
const KEY = `towline-token ${new URL(".", import.meta.url).pathname}`;

let token = take(); // if it can't be kept

// The token in the address. It is taken out of it, so that it is not seen, and not copied with it.
function take() {
  const found = tokenIn(location.hash);
  if (found === null) return null;
  if (keep(found)) history.replaceState(null, "", location.pathname + location.search);
  return found;
}

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
  token = take() ?? token;
});

// Asks the server for something that is not for everybody. The header says that it is this page which asks,
// also where no token is needed.
export function ask(url, options = {}) {
  // Another page may have been given it meanwhile.
  return fetch(url, { ...options, headers: { [HEADER]: recall() ?? token ?? "none" } });
}

// Takes a token, or a URL with one. Says whether it is one.
export function giveToken(text) {
  const typed = text.trim();
  const given = TOKEN.test(typed) ? typed : tokenIn(typed);
  if (given === null) return false;
  token = given;
  keep(given);
  return true;
}
