'use strict';

// The events of a connection's socket. The handlers are the same functions for all: the socket knows
// its connection.

const { REASONS } = require('./close-codes');
const { kConnection } = require('./output');
const { goOn, readOn } = require('./run');
const State = require('./state');

/** What Node reads at once. */
const LONG = 64 << 10;

/** Prepares the socket of a new connection. Other streams than sockets may lack what is set here. */
function prepare(socket, config) {
  socket.setNoDelay?.(config.disableNagleAlgorithm);
  socket.setTimeout?.(0);
  if (config.keepalive && config.useNativeKeepalive) {
    socket.setKeepAlive?.(true, config.keepaliveInterval);
  }
  takeErrors(socket);
}

function listen(connection) {
  const { socket } = connection;
  socket[kConnection] = connection;
  // The program may have paused it before this.
  connection.inputPaused = socket.readableFlowing === false;
  socket.on('end', onEnd);
  socket.on('close', onClose);
  socket.on('drain', onDrain);
  socket.on('pause', onPause);
  socket.on('resume', onResume);
  socket.on('data', onData);
  socket.on('newListener', onNewListener);
}

/**
 * Has nobody else listen to the errors of a socket: those of Node's HTTP client, say, are of no use
 * to a program. Removing all, and adding ours, would make the socket larger.
 */
function takeErrors(socket) {
  if (!socket.listeners('error').includes(onError)) socket.on('error', onError);
  for (const listener of socket.listeners('error')) {
    if (listener !== onError) socket.removeListener('error', listener);
  }
}

function onData(chunk) {
  const connection = this[kConnection];
  connection._handleChunk(this, chunk);
  // Of a long message, there may be more.
  if (chunk.length >= LONG) readOn(connection);
}

/** One that listens once is gone when it has its chunk, and may be so before we have ours. */
function onNewListener(event) {
  if (event === 'data') this[kConnection]._isShared = true;
}

function onError(error) {
  const connection = this[kConnection];
  // Before it is accepted, its request takes note of its end.
  if (connection === undefined || connection.state === State.CLOSED) return;
  connection.closeReasonCode = REASONS.CLOSE_REASON_ABNORMAL;
  connection.closeDescription = `Socket Error: ${error.syscall} ${error.code}`;
  connection.connected = false;
  connection.state = State.CLOSED;
  if (connection.listenerCount('error') > 0) connection.emit('error', error);
  this.destroy();
}

/** The peer sends nothing more. What it has sent may not have been handed out. */
function onEnd() {
  const connection = this[kConnection];
  if (connection._run !== null || connection._backlog !== null) connection._hasEnded = true;
  else this.end();
}

function onClose(hadError) {
  const connection = this[kConnection];
  connection.socketHadError = Boolean(hadError);
  connection.connected = false;
  connection.state = State.CLOSED;
  if (connection.closeReasonCode === -1) {
    connection.closeReasonCode = REASONS.CLOSE_REASON_ABNORMAL;
    connection.closeDescription = 'Connection dropped by remote peer.';
  }
  connection._release();
  connection._flush();
  connection._emitClose();
}

function onDrain() {
  const connection = this[kConnection];
  connection._isFull = false;
  connection.emit('drain');
}

function onPause() {
  const connection = this[kConnection];
  connection.inputPaused = true;
  // What waits in the stream, the program can read itself.
  connection._isShared = true;
  connection.emit('pause');
}

function onResume() {
  // One that was under way when the program paused comes nevertheless.
  if (this.isPaused()) return;
  const connection = this[kConnection];
  connection.inputPaused = false;
  connection.emit('resume');
  goOn(connection);
}

module.exports = { listen, prepare, takeErrors };
