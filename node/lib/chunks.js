'use strict';

// Payloads are unmasked where they lie, which saves a copy. That takes memory that nobody else has: a chunk
// that Node has just read from a socket of its own, and emitted to us alone. Any other is copied: a program may
// push a buffer into a stream twice, or keep what another listener was given.

const net = require('net');
const tls = require('tls');

const { _read, emit, push, read } = net.Socket.prototype;

const PROTOTYPES = new Set([net.Socket.prototype, tls.TLSSocket.prototype]);

/** Whether a socket may have chunks that are ours alone. */
function mayOwn(socket) {
  return PROTOTYPES.has(Object.getPrototypeOf(socket));
}

/** Whether nobody has put methods in place of those that a chunk passes through. */
function isUntouched(socket) {
  return socket.emit === emit && socket.push === push && socket.read === read && socket._read === _read;
}

/** Whether a chunk that the socket is emitting is ours alone. Must see each chunk, once. */
function isOurs(connection, socket, chunk) {
  // The program can emit and unshift buffers, too, of which the handle does not know.
  const bytesRead = socket._handle?.bytesRead;
  const isFresh = bytesRead - connection._bytesSeen === chunk.length;
  connection._bytesSeen = bytesRead;
  const wasShared = connection._isShared;
  connection._isShared = socket.listenerCount('data') !== 1;
  return (
    isFresh &&
    !wasShared &&
    !connection._isShared &&
    socket.readableFlowing === true &&
    socket.readableLength === 0 &&
    isUntouched(socket)
  );
}

module.exports = { isOurs, isUntouched, mayOwn };
