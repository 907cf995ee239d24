'use strict';

// Several servers on one HTTP server are all asked about a handshake, and each may leave it to the
// others by rejecting it. It is refused when all of them have; and once one has accepted it, nobody
// writes into its WebSocket.

/** The servers that are mounted on an HTTP server. */
const mounted = new WeakMap();

/** What is made of the handshake on a socket. */
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
    this.isTaken = false;
    this.refusal = null;
    this.refusals = 0;
  }

  /** Whether this is the first server that is asked. Each asks once. */
  isFirst() {
    this.asked += 1;
    return this.asked === 1;
  }

  isFree() {
    return !this.isTaken;
  }

  accept() {
    this.isTaken = true;
  }

  /** Refuses, if nobody else may still accept. A reason says more than "not found". */
  reject(status, refuse) {
    this.refusals += 1;
    if (this.refusal === null || this.refusal.status === 404) this.refusal = { status, refuse };
    if (!this.isTaken && this.refusals >= this.servers) this.refusal.refuse();
  }
}

/** What is made of a handshake, for all servers that are asked. */
function claimOf(httpRequest, socket) {
  const known = claims.get(httpRequest);
  if (known !== undefined) return known;
  // Sockets of Node's servers know whose they are.
  const claim = new Claim(mounted.get(socket.server)?.size ?? 1);
  claims.set(httpRequest, claim);
  return claim;
}

module.exports = { claimOf, join, leave };
