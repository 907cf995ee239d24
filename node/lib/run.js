'use strict';

// Hands out what was received, one event after the other. Between two of them, promises settle: what
// a handler does after an `await`, and whoever awaits `once(connection, 'message')`, comes before
// the next message. A microtask that schedules a tick lets all of them run, without a turn of the
// loop.

const { now } = require('./clock');
const direct = require('./direct');
const hub = require('./hub');
const output = require('./output');

const { native } = hub;

/** The words of a table, see `src/table.rs`. */
const NEXT = 0;
const IS_FULL = 1;
const HAS_OUTPUT = 2;
const IS_SOONER = 3;
/** Where its events begin, and how many words each has. */
const HEADER = 4;
const EVENT_LEN = 3;

/** Handlers that take longer, in milliseconds for a message, gain nothing by batches. */
const QUICK = 0.05;

/** At most so much of a connection is read without Node in one turn of the loop: others have their turn, too. */
const TURN_MAX = 1 << 20;

const settled = Promise.resolve();

/** Decodes a chunk into a table, and returns where its events end. */
function decode(connection, chunk, from, table) {
  const flags = connection._flags();
  const count = native.receive(hub.hub, connection._id, chunk, from, table, flags);
  heed(connection, table);
  return HEADER + EVENT_LEN * count;
}

/** Takes note of what a table says of the whole. */
function heed(connection, table) {
  if (table[HAS_OUTPUT] !== 0) output.settle(connection, 0);
  if (table[IS_SOONER] !== 0) hub.arm();
}

/** Runs that are not in use: most are for a single message. */
const spares = [];
const MOST_SPARES = 64;

/**
 * Hands out what is in a chunk, in a tick of its own: the context that a handler enters must not be
 * that of the socket, and of everything that comes after.
 */
function receive(connection, chunk) {
  const table = hub.takeTable();
  const end = decode(connection, chunk, 0, table);
  if (end === HEADER && table[IS_FULL] === 0) hub.giveTable(table);
  else start(connection, chunk, table, end);
}

function start(connection, chunk, table, end) {
  connection._run = (spares.pop() ?? new Run()).of(connection, chunk, table, end);
  process.nextTick(connection._run.step);
}

/** Counts the turns of the loop in which something was read without Node. */
let turn = 0;
let isTurnCounted = false;

function endTurn() {
  isTurnCounted = false;
  turn = (turn + 1) | 0;
}

/** How much may be read without Node in this turn. */
function leftInTurn(connection) {
  if (!isTurnCounted) {
    isTurnCounted = true;
    setImmediate(endTurn);
  }
  if (connection._turn !== turn) {
    connection._turn = turn;
    connection._readInTurn = 0;
  }
  return Math.max(TURN_MAX - connection._readInTurn, 0);
}

/** Reads on in a long message, of which the last chunk was a part. */
function readOn(connection) {
  const { _backlog, _id, _isDeaf, _isDirect, _run, inputPaused, socket } = connection;
  if (!_isDirect || _run !== null || _backlog !== null || inputPaused || _isDeaf || _id < 0) return;
  const descriptor = direct.descriptorToRead(socket);
  if (descriptor < 0) return;
  // A program may have put a method of its own there, to see every chunk.
  if (Object.hasOwn(connection, 'handleSocketData')) return;
  const most = leftInTurn(connection);
  if (most === 0) return;
  const table = hub.takeTable();
  let bytes = native.readOn(hub.hub, _id, descriptor, table, connection._flags(), most);
  let errno = 0;
  if (bytes < 0) ({ bytes, errno } = direct.left(bytes));
  connection._readInTurn += bytes;
  if (bytes > 0) direct.countRead(socket, bytes);
  heed(connection, table);
  const count = table[NEXT];
  if (count === 0) hub.giveTable(table);
  else start(connection, null, table, HEADER + EVENT_LEN * count);
  if (direct.FOREIGN.has(errno)) connection._isDirect = false;
  else if (errno !== 0) direct.fail(socket, errno);
}

/** Begins with what was received while the program had paused. */
function goOn(connection) {
  if (connection._id < 0 || connection.inputPaused) return;
  if (connection._run !== null) {
    connection._run.resume();
  } else if (connection._backlog !== null) {
    const table = hub.takeTable();
    table[IS_FULL] = 0;
    connection._run = (spares.pop() ?? new Run()).of(connection, null, table, HEADER);
    connection._run.put();
  }
}

/** Receives its first chunk after whoever is told of the connection could listen. */
function receiveLater(connection, chunk) {
  connection._backlog = [chunk];
  goOn(connection);
}

class Run {
  constructor() {
    this.step = () => this.advance();
    this.schedule = () => process.nextTick(this.step);
    this.connection = null;
    this.chunk = null;
    this.table = null;
    this.at = 0;
    this.end = 0;
    /** Since when, how many events, and whether what is sent meanwhile is written at the end. */
    this.began = 0;
    this.count = 0;
    this.isBatched = false;
    /** Whether `advance` is going to be called. */
    this.isScheduled = false;
    this.isSuspended = false;
  }

  of(connection, chunk, table, end) {
    this.connection = connection;
    this.chunk = chunk;
    this.table = table;
    this.at = HEADER;
    this.end = end;
    this.count = 0;
    this.isScheduled = true;
    return this;
  }

  /** Goes on once promises have settled. */
  put() {
    this.isScheduled = true;
    settled.then(this.schedule);
  }

  resume() {
    if (!this.isSuspended) return;
    this.isSuspended = false;
    this.count = 0;
    this.advance();
  }

  advance() {
    this.isScheduled = false;
    let isThrown = true;
    try {
      this.handOut();
      isThrown = false;
    } finally {
      if (isThrown) this.recover();
    }
  }

  /** Hands out one event, or all if the program does not mind. */
  handOut() {
    const { connection } = this;
    if (this.count === 0) this.begin();
    for (;;) {
      if (connection._id < 0) return this.finish();
      if (this.at === this.end && !this.refill()) return this.finish();
      if (connection.inputPaused) return this.suspend();
      const { at, chunk, table } = this;
      this.at += EVENT_LEN;
      this.count += 1;
      output.next();
      // Before the program is called, so that the context is not that of what it does; and in case
      // it throws.
      const isAlone = !connection._isSynchronous && !this.isLast(this.at);
      if (isAlone) this.put();
      connection._dispatch(chunk, table[at], table[at + 1], table[at + 2]);
      if (isAlone) return undefined;
      // Something has come meanwhile.
      if (!connection._isSynchronous && connection._backlog !== null) return this.put();
    }
  }

  /** Whether no more is at hand than what stands before `at`. */
  isLast(at) {
    return at >= this.end && this.table[IS_FULL] === 0 && this.connection._backlog === null;
  }

  /** A single message is not worth a look at the clock. */
  begin() {
    if (this.isLast(this.at + EVENT_LEN)) return;
    this.began = now();
    if (!this.connection._isQuick) return;
    this.isBatched = true;
    output.enter();
  }

  /** Decodes more, of this chunk or of the next; false if there is none. */
  refill() {
    const { connection } = this;
    for (;;) {
      let from = 0;
      const { table } = this;
      if (table[IS_FULL] !== 0) {
        from = table[NEXT];
      } else {
        const chunk = connection._takeBacklog();
        if (chunk === undefined) return false;
        this.chunk = chunk;
      }
      // What was left after a pause is in one that is small.
      if (table.length !== hub.TABLE_LEN) this.table = hub.takeTable();
      this.at = HEADER;
      this.end = decode(connection, this.chunk, from, this.table);
      if (this.end > HEADER) return true;
    }
  }

  /** The program has paused: what is left is kept, but not in a table that others can use. */
  suspend() {
    this.leave();
    this.isSuspended = true;
    const rest = new Uint32Array(HEADER + this.end - this.at);
    rest.set(this.table.subarray(0, HEADER));
    rest.set(this.table.subarray(this.at, this.end), HEADER);
    hub.giveTable(this.table);
    this.table = rest;
    this.at = HEADER;
    this.end = rest.length;
  }

  finish() {
    const { connection } = this;
    if (this.began > 0) connection._isQuick = now() - this.began < QUICK * this.count;
    this.leave();
    hub.giveTable(this.table);
    this.connection = null;
    this.chunk = null;
    this.table = null;
    connection._run = null;
    if (spares.length < MOST_SPARES) spares.push(this);
    if (connection._id >= 0 && connection._hasEnded) connection.socket.end();
  }

  /** What is sent from here on is written at once. */
  leave() {
    this.began = 0;
    if (this.isBatched) output.leave();
    this.isBatched = false;
  }

  /** The program threw. What else there is, it is to have nevertheless. */
  recover() {
    this.leave();
    if (this.isScheduled || this.connection === null) return;
    this.isScheduled = true;
    setImmediate(this.step);
  }
}

module.exports = { goOn, readOn, receive, receiveLater };
