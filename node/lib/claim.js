'use strict';

// Several servers on one HTTP server are all asked about a handshake. One of them can accept it, and the
// others then write nothing into its WebSocket. It is refused when all have rejected it, or when one has
// and the others have not answered for a while: programs ignore requests that another server handles.

/** How long a rejection waits for the servers that have not answered, in milliseconds. */
const PATIENCE = 1000;

/** The servers that are mounted on an HTTP server. */
const mounted = new WeakMap();

/** The claims of handshakes, by their requests. */
const claims = new WeakMap();

function join(httpServer, server) {
  const servers = mounted.get(httpServer) ?? new Set();
  mounted.set(httpServer, servers.add(server));
}

function leave(httpServer, server) {
  mounted.get(httpServer)?.delete(server);
}

class Claim {
  constructor(servers) {
    this.servers = servers;
    this.asked = 0;
    this.isAccepted = false;
    this.isRefused = false;
    /** The rejection to send, and how many there are. */
    this.rejection = null;
    this.rejections = 0;
    this.timer = null;
  }

  /** Whether this is the first server that is asked. Each asks once. */
  isFirst() {
    this.asked += 1;
    return this.asked === 1;
  }

  accept() {
    this.isAccepted = true;
    clearTimeout(this.timer);
  }

  /** Keeps the rejection that says more than "not found", and sends it if no other server can accept. */
  reject(status, send) {
    this.rejections += 1;
    if (this.isAccepted || this.isRefused) return;
    if (this.rejection === null || this.rejection.status === 404) this.rejection = { status, send };
    if (this.rejections >= this.servers) this.refuse();
    else this.timer ??= setTimeout(() => this.refuse(), PATIENCE).unref();
  }

  refuse() {
    clearTimeout(this.timer);
    this.isRefused = true;
    this.rejection.send();
  }
}

/** The claim of a handshake, which all servers that are asked share. */
function claimOf(httpRequest, socket) {
  const known = claims.get(httpRequest);
  if (known !== undefined) return known;
  // Sockets of Node's servers know whose they are.
  const claim = new Claim(mounted.get(socket.server)?.size ?? 1);
  claims.set(httpRequest, claim);
  return claim;
}

module.exports = { claimOf, join, leave };
