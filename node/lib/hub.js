'use strict';

// What all connections share: the native hub, the messages that wait to be sent, the buffers that
// they are encoded into, and one timer.

const net = require('node:net');

const native = require('./native').load();

const hub = native.createHub();

const EMPTY = Buffer.alloc(0);

/** The connections, by their numbers in the native hub. */
const connections = [];

// ---- tables of events: `src/table.rs` has the same numbers

const Event = {
  ASCII: 1,
  TEXT: 2,
  BINARY: 3,
  OWNED_TEXT: 4,
  OWNED_BINARY: 5,
  FRAME: 6,
  PING: 7,
  PONG: 8,
  CLOSE: 9,
  FAULT: 10,
};

const TABLE_LEN = 4 + 3 * 1024;

/** Tables that are not in use: each turn of receiving needs one, and a turn may be within another. */
const tables = [];

function takeTable() {
  return tables.pop() ?? new Uint32Array(TABLE_LEN);
}

function giveTable(table) {
  tables.push(table);
}

// ---- sending

/** Messages up to this wait in `staged` for the end of the turn. */
const STAGED_MAX = 8 << 10;
const ENTRY_LEN = 4;

const staged = Buffer.allocUnsafeSlow(128 << 10);
const entries = new Uint32Array(ENTRY_LEN * 4096);
let stagedLen = 0;
let entryCount = 0;

/** What is to be written is put here. */
const OUT_LEN = 128 << 10;
/** What sockets have kept and given back, to be used again. */
const SPARE_OUTS = 4;
const spareOuts = [];
let out = Buffer.allocUnsafeSlow(OUT_LEN);
let outLen = 0;
/** Whose it is that is in `out`. */
let corked = null;

/** The connections that have something to write. */
let dirty = [];
let isScheduled = false;
/** How many turns of receiving are under way: each writes at its end what was sent meanwhile. */
let turns = 0;

/**
 * Puts a message with those that leave at the end of the turn, and returns its length. `most` is
 * what it comes to at most.
 */
function stage(connection, isText, data, most) {
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
  return length;
}

/** Hands what is staged to the core, so that what is done next comes after it. */
function sendStaged() {
  if (entryCount === 0) return;
  const count = entryCount;
  entryCount = 0;
  stagedLen = 0;
  native.sendStaged(hub, staged, entries, count);
}

/** Sees to it that the connection's bytes are written, at the latest when the program yields. */
function mark(connection) {
  if (!connection._isDirty) {
    connection._isDirty = true;
    dirty.push(connection);
    if (turns === 0 && !isScheduled) {
      isScheduled = true;
      process.nextTick(flushScheduled);
    }
  }
}

function flushScheduled() {
  isScheduled = false;
  flushAll();
}

function flushAll() {
  if (dirty.length === 1) {
    const [connection] = dirty;
    dirty.length = 0;
    flush(connection);
    return;
  }
  const all = dirty;
  dirty = [];
  for (const connection of all) flush(connection);
}

/** A turn of receiving begins. */
function enter() {
  turns += 1;
}

/** A turn of receiving is over. */
function leave() {
  turns -= 1;
  if (turns === 0 && dirty.length > 0) flushAll();
}

/** Writes everything that is to be written of a connection. */
function flush(connection) {
  connection._isDirty = false;
  connection._stagedLen = 0;
  if (connection._id >= 0) {
    encode(connection);
    writeOut(connection._takeCallbacks());
    corked = null;
  }
  // Those of what was written before, or never will be.
  if (connection._callbacks !== null) connection._failCallbacks();
}

/** Puts what is to be written of a connection into `out`. What finds no room is written. */
function encode(connection) {
  if (corked !== connection) {
    if (corked !== null) flush(corked);
    corked = connection;
  }
  for (;;) {
    if (entryCount > 0) {
      const count = entryCount;
      entryCount = 0;
      stagedLen = 0;
      outLen += native.sendAndFlush(hub, connection._id, staged, entries, count, out, outLen);
    } else {
      outLen += native.flush(hub, connection._id, out, outLen);
    }
    if (outLen < out.length) return;
    writeOut(undefined);
  }
}

/** Writes what is in `out`. */
function writeOut(callback) {
  const length = outLen;
  outLen = 0;
  if (length > 0) corked._isFull = !write(corked, length, callback);
  else if (callback !== undefined) process.nextTick(callback, null);
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

/** Forgets what was to be written of a connection that is released. */
function uncork(connection) {
  if (corked !== connection) return;
  corked = null;
  outLen = 0;
}

/** Whether what such a socket has written at once, it does not keep. */
function isPlain(socket) {
  return socket.constructor === net.Socket;
}

// ---- time

const LONGEST = 0x7fffffff;
const Due = { FLUSH: 1, OVERDUE: 2, DESTROY: 3 };

let timer = null;
let timerAt = Infinity;

/** Sees to it that deadlines are met. To be called when one may have come nearer. */
function arm() {
  const wait = native.nextTimeout(hub);
  if (wait < 0) return;
  const at = performance.now() + wait;
  if (timer !== null && timerAt <= at) return;
  clearTimeout(timer);
  timerAt = at;
  timer = setTimeout(onTimer, Math.min(Math.ceil(wait), LONGEST));
  // What keeps the process is the sockets.
  timer.unref();
}

function onTimer() {
  timer = null;
  timerAt = Infinity;
  const table = takeTable();
  let count;
  do {
    count = native.due(hub, table);
    for (let at = 0; at < 2 * count; at += 2) {
      const connection = connections[table[at]];
      if (connection === undefined) continue;
      if (table[at + 1] === Due.FLUSH) mark(connection);
      else if (table[at + 1] === Due.OVERDUE) setImmediate(judge, connection);
      else connection.socket.destroy();
    }
  } while (2 * count === table.length);
  giveTable(table);
  arm();
}

/** After a look at all sockets: the peer is dead, unless bytes of it wait to be read. */
function judge(connection) {
  const id = connection._id;
  if (id < 0) return;
  if (connection._hasUnread()) {
    native.heard(hub, id);
    arm();
  } else if (native.isOverdue(hub, id)) {
    connection.drop(1006, 'Peer not responding.', true);
  }
}

// ---- connections

/** Gives a connection its number. */
function open(connection, isServer, options, compression) {
  const id = native.open(hub, isServer, options, compression);
  connections[id] = connection;
  arm();
  return id;
}

function release(connection) {
  const id = connection._id;
  connection._id = -1;
  uncork(connection);
  connections[id] = undefined;
  native.release(hub, id);
}

module.exports = {
  Event,
  STAGED_MAX,
  arm,
  encode,
  enter,
  flush,
  giveTable,
  hub,
  isPlain,
  leave,
  mark,
  native,
  open,
  release,
  sendStaged,
  stage,
  takeTable,
};
