'use strict';

// What all connections share: the native hub, tables of events, and one timer.

const { AsyncResource } = require('async_hooks');

const native = require('./native').load();
const { now } = require('./clock');

const hub = native.createHub();

/** The connections, by their numbers in the native hub. */
const connections = [];

/** Timers of all must not run in the context of the one that happened to set them. */
const nobody = new AsyncResource('TowlineTimer');

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

/** Tables that are not in use: each run needs one, and several may be under way. */
const tables = [];

function takeTable() {
  return tables.pop() ?? new Uint32Array(TABLE_LEN);
}

function giveTable(table) {
  if (table.length === TABLE_LEN) tables.push(table);
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
  const at = now() + wait;
  if (timer !== null && timerAt <= at) return;
  clearTimeout(timer);
  timerAt = at;
  timer = nobody.runInAsyncScope(setTimeout, null, onTimer, Math.min(Math.ceil(wait), LONGEST));
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
      if (table[at + 1] === Due.FLUSH) connection._flush();
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
    connection._inContext(connection.drop, 1006, 'Peer not responding.', true);
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
  connections[id] = undefined;
  native.release(hub, id);
}

module.exports = { Event, TABLE_LEN, arm, giveTable, hub, native, open, release, takeTable };
