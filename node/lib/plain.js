'use strict';

// Requests with an `Upgrade` header that asks for something else, HTTP/2 say, of which a server may
// take no notice. Node tells nobody but those who listen for `upgrade`, so they go back to where they
// came from.

const http = require('http');

const { listOf } = require('./tokens');

const givenBack = new WeakSet();

/** Those for `upgrade` of our servers. */
const ourListeners = new WeakSet();

/** What an HTTP server does with a new connection. */
let onConnection;

/** Whether a request is for us. One without the header has been made by hand. */
function isOurs({ headers }) {
  const { upgrade } = headers;
  return upgrade === undefined || listOf(upgrade).some((name) => /^websocket(\/|$)/i.test(name));
}

const kept = new WeakSet();

/** Newer versions of Node ask, for each request; then nothing has to go back. */
function keepPages(httpServer) {
  const { shouldUpgradeCallback } = httpServer;
  if (typeof shouldUpgradeCallback !== 'function' || kept.has(httpServer)) return;
  kept.add(httpServer);
  httpServer.shouldUpgradeCallback = function shouldUpgrade(request) {
    const listeners = this.listeners('upgrade');
    const areOurs = listeners.length > 0 && listeners.every((one) => ourListeners.has(one));
    return (!areOurs || isOurs(request)) && shouldUpgradeCallback.call(this, request);
  };
}

/** Has the HTTP server handle it as a page's request, unless somebody else may want it. */
function giveBack(httpRequest, socket, head) {
  if (givenBack.has(httpRequest)) return;
  givenBack.add(httpRequest);
  const { server } = socket;
  const isOur = (listener) => ourListeners.has(listener);
  if (server === undefined || !server.listeners('upgrade').every(isOur)) return;
  socket.unshift(Buffer.concat([Buffer.from(withoutUpgrade(httpRequest), 'latin1'), head]));
  [onConnection] = onConnection ? [onConnection] : http.createServer().listeners('connection');
  onConnection.call(server, socket);
}

/** The head of the request as it came, but for what asks to leave HTTP/1.1. */
function withoutUpgrade({ httpVersion, method, rawHeaders, url }) {
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const [name, value] = [rawHeaders[at], rawHeaders[at + 1]];
    if (/^(upgrade|http2-settings)$/i.test(name)) continue;
    if (/^connection$/i.test(name)) {
      const rest = listOf(value).filter((token) => !/^(upgrade|http2-settings)$/i.test(token));
      if (rest.length > 0) lines.push(`${name}: ${rest.join(', ')}`);
    } else {
      lines.push(`${name}: ${value}`);
    }
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}

module.exports = { giveBack, isOurs, keepPages, ourListeners };
