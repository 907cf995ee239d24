'use strict';

// What bundlers for browsers take in place of the package.

const Native = globalThis.WebSocket;

/** A browser's WebSocket. No protocols, in whatever way that is said, ask for none. */
function W3CWebSocket(url, protocols) {
  return protocols ? new Native(url, protocols) : new Native(url);
}

if (Native) {
  W3CWebSocket.prototype = Native.prototype;
  for (const state of ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED']) {
    Object.defineProperty(W3CWebSocket, state, { value: Native[state], enumerable: true });
  }
}

module.exports = {
  w3cwebsocket: Native ? W3CWebSocket : null,
  version: require('./version'),
};
