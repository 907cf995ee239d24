'use strict';

// From messages to bytes, and to the socket.
//
// What is sent is written at once, so that it is on its way whatever the program does next: exits,
// works for a while, writes to the socket itself. There is one exception. While the messages of a
// chunk are handed out to handlers that are quick, what they send is staged, and leaves in one write
// once all have been handed out, or as soon as anybody could tell the difference: see `settle`.

const net = require('net');

const callbacks = require('./callbacks');
const { now } = require('./clock');
const direct = require('./direct');
const { hub, native } = require('./hub');

const EMPTY = Buffer.alloc(0);

/** Messages up to this are copied into `staged`; longer ones are lent to the core. */
const STAGED_MAX = 64 << 10;
const ENTRY_LEN = 4;

const staged = Buffer.allocUnsafeSlow(128 << 10);
const entries = new Uint32Array(ENTRY_LEN * 4096);
let stagedLen = 0;
let entryCount = 0;

/** What is to be written is put here. It is empty between two calls. */
const OUT_LEN = 128 << 10;
/** What sockets have kept and given back, to be used again. */
const SPARE_OUTS = 4;
const spareOuts = [];
let out = Buffer.allocUnsafeSlow(OUT_LEN);

/** How much of a connection may be staged before it is written nevertheless. */
const TURN_MAX = 64 << 10;
/** A handler that sends twice, so many milliseconds after the batch began, wants it to be on its way. */
const BATCH_MAX = 1;

/** How many batches are open, when the first began, and who has sent something since. */
let batches = 0;
let batchBegan = 0;
let dirty = [];
/** Counts the messages that are handed out within batches. */
let handedOut = 0;

// ---- sending

/**
 * Sends a message of at most `STAGED_MAX` bytes. `most` is what it comes to at most.
 */
function sendShort(connection, isText, data, most, callback) {
  if (!isText && batches === 0 && callback === undefined) {
    const descriptor = descriptorOf(connection);
    if (descriptor >= 0) {
      sendStaged();
      const { _id } = connection;
      passed(connection, native.sendAndPassBytes(hub, _id, descriptor, data));
      return;
    }
  }
  if (stagedLen + most > staged.length || (entryCount + 1) * ENTRY_LEN > entries.length) {
    sendStaged();
  }
  let length;
  if (isText) {
    length = staged.utf8Write(data, stagedLen, most);
  } else {
    length = most;
    staged.set(data, stagedLen);
  }
  const at = entryCount * ENTRY_LEN;
  entries[at] = connection._id;
  entries[at + 1] = isText ? 1 : 0;
  entries[at + 2] = stagedLen;
  entries[at + 3] = length;
  entryCount += 1;
  stagedLen += length;
  settle(connection, length, callback && connection._forLength(callback, length));
}

/** Sends a longer one. Whatever the program does with `payload` afterwards has no effect. */
function sendLong(connection, isText, payload, callback) {
  sendStaged();
  const descriptor = callback === undefined ? descriptorOf(connection) : -1;
  if (descriptor >= 0) {
    const { _id } = connection;
    passed(connection, native.sendLentAndPass(hub, _id, descriptor, isText, payload));
    return;
  }
  native.sendLent(hub, connection._id, isText, payload);
  flush(connection, callback && connection._forLength(callback, payload.length));
}

/** Hands what is staged to the core, so that what is done next comes after it. */
function sendStaged() {
  if (entryCount === 0) return;
  const count = entryCount;
  entryCount = 0;
  stagedLen = 0;
  native.sendStaged(hub, staged, entries, count);
}

/**
 * Something of the connection is to be written: at once, or with what else is sent while a chunk is
 * handed out.
 */
function settle(connection, length, callback) {
  if (batches === 0) {
    flush(connection, callback);
    return;
  }
  if (callback) callbacks.add(connection, callback);
  if (!connection._isDirty) {
    connection._isDirty = true;
    dirty.push(connection);
    guard(connection.socket);
  }
  connection._stagedLen += length;
  if (connection._stagedLen >= TURN_MAX) flush(connection);
  else if (connection._sentIn !== handedOut) connection._sentIn = handedOut;
  else if (now() - batchBegan > BATCH_MAX) endBatches();
}

// ---- batches

/** The messages of a chunk are about to be handed out. */
function enter() {
  batches += 1;
  if (batches === 1) batchBegan = now();
}

/** The next of them is. */
function next() {
  handedOut = (handedOut + 1) | 0;
}

/** All have been. Returns whether the batch was still open. */
function leave() {
  if (batches === 0) return false;
  batches -= 1;
  if (batches === 0) flushAll();
  return true;
}

/** What handlers send from now on is written at once. */
function endBatches() {
  batches = 0;
  flushAll();
}

function flushAll() {
  if (dirty.length === 0) return;
  const all = dirty;
  dirty = [];
  for (const connection of all) if (connection._isDirty) flush(connection);
}

// ---- writing

/** Writes everything that is to be written of a connection. */
function flush(connection, callback) {
  const descriptor = callback === undefined ? descriptorOf(connection) : -1;
  if (descriptor >= 0) pass(connection, descriptor);
  else flushByNode(connection, callback);
}

/** The descriptor to write to; negative if Node has to, for a callback, say. */
function descriptorOf(connection) {
  const { _callbacks, _id, _isDirect, socket } = connection;
  return _isDirect && _id >= 0 && _callbacks === null ? direct.descriptorOf(socket) : -1;
}

/** Has the addon write to the kernel. */
function pass(connection, descriptor) {
  if (entryCount === 0) {
    passed(connection, native.pass(hub, connection._id, descriptor));
    return;
  }
  const count = entryCount;
  entryCount = 0;
  stagedLen = 0;
  passed(connection, native.sendAndPass(hub, connection._id, descriptor, staged, entries, count));
}

/** The addon has written to the kernel. Node writes what is left. */
function passed(connection, outcome) {
  connection._isDirty = false;
  connection._stagedLen = 0;
  const { socket } = connection;
  if (outcome >= 0) {
    if (outcome === 0) return;
    direct.count(socket, outcome);
    connection._isFull = !direct.settle(socket, outcome);
    return;
  }
  const { bytes, errno } = direct.left(outcome);
  if (direct.FOREIGN.has(errno)) connection._isDirect = false;
  if (bytes > 0) direct.count(socket, bytes);
  direct.report(socket, errno, () => flushByNode(connection));
  if (!direct.settle(socket, bytes + socket.writableLength)) connection._isFull = true;
}

function flushByNode(connection, callback) {
  connection._isDirty = false;
  connection._stagedLen = 0;
  if (connection._callbacks !== null) {
    if (callback) callbacks.add(connection, callback);
    callback = callbacks.take(connection);
  }
  if (connection._id < 0) {
    if (callback) callbacks.refuse(callback);
    return;
  }
  for (;;) {
    let length;
    if (entryCount > 0) {
      const count = entryCount;
      entryCount = 0;
      stagedLen = 0;
      length = native.sendAndFlush(hub, connection._id, staged, entries, count, out, 0);
    } else {
      length = native.flush(hub, connection._id, out, 0);
    }
    if (length < out.length) {
      if (length > 0) connection._isFull = !write(connection, length, callback);
      else if (callback) process.nextTick(callback, null);
      return;
    }
    connection._isFull = !write(connection, length, undefined);
    // The program may have ended the connection in an event of the socket's.
    if (connection._id < 0) return;
  }
}

/** Writes the first `length` bytes of `out`; false if the socket has enough of it. */
function write({ _isPlain, socket }, length, callback) {
  // The socket may keep what it can't write at once. A copy of little is cheaper than a new `out`.
  const mayKeep = !_isPlain || socket.writableLength > 0;
  if (mayKeep && length < OUT_LEN / 4) {
    return socket.write(Buffer.from(out.subarray(0, length)), callback);
  }
  if (!mayKeep) {
    const isTaken = socket.write(out.subarray(0, length), callback);
    if (socket.writableLength === 0) return isTaken;
    // A part of it is left. An empty write ends when that has been written.
    const kept = out;
    socket.write(EMPTY, () => giveOut(kept));
    out = takeOut();
    return isTaken;
  }
  const kept = out;
  out = takeOut();
  return socket.write(kept.subarray(0, length), (error) => {
    giveOut(kept);
    callback?.(error);
  });
}

function takeOut() {
  return spareOuts.pop() ?? Buffer.allocUnsafeSlow(OUT_LEN);
}

function giveOut(buffer) {
  if (spareOuts.length < SPARE_OUTS) spareOuts.push(buffer);
}

/** Whether what such a socket has written at once, it does not keep. */
function isPlain(socket) {
  return socket.constructor === net.Socket;
}

// ---- what must not overtake what is staged

/** Where a socket has its connection. */
const kConnection = Symbol('connection');

/** What the program does with the socket itself comes after what it has sent before. */
const guards = {};
for (const name of ['write', 'end', 'destroy']) {
  guards[name] = {
    configurable: true,
    writable: true,
    value(...args) {
      const connection = this[kConnection];
      if (connection !== undefined && connection._isDirty) flush(connection);
      return Object.getPrototypeOf(this)[name].apply(this, args);
    },
  };
}

direct.ours.add(guards.write.value);

function guard(socket) {
  for (const name of Object.keys(guards)) {
    // One that somebody has put there is left alone.
    if (!Object.hasOwn(socket, name)) Object.defineProperty(socket, name, guards[name]);
  }
}

// An exit may come in the middle of a batch. The package may be loaded several times in one process,
// which is not to be warned of too many listeners.
const kFlushes = Symbol.for('towline.flushes');
if (process[kFlushes] === undefined) {
  const flushes = [];
  Object.defineProperty(process, kFlushes, { value: flushes });
  process.on('exit', () => {
    for (const flushOne of flushes) flushOne();
  });
}
process[kFlushes].push(endBatches);

module.exports = {
  STAGED_MAX,
  enter,
  flush,
  isPlain,
  kConnection,
  leave,
  next,
  sendLong,
  sendShort,
  sendStaged,
  settle,
};
