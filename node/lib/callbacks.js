'use strict';

// The callbacks of what is sent in a batch: one write is for many of them, each of which belongs to
// whoever sent.

const { AsyncResource } = require('async_hooks');

const failure = require('./errors');

/** Keeps a callback, and the context that it is to run in, for the next write. */
function add(connection, callback) {
  const entry = { callback, context: new AsyncResource('TowlineSend') };
  if (connection._callbacks === null) connection._callbacks = [entry];
  else connection._callbacks.push(entry);
}

/** One callback for all that wait to be told of the next write, or nothing. */
function take(connection) {
  const entries = connection._callbacks;
  if (entries === null) return undefined;
  connection._callbacks = null;
  return (error) => callFrom(entries, 0, error);
}

/** One that throws does not take from the others what is theirs. */
function callFrom(entries, from, error) {
  let at = from;
  try {
    while (at < entries.length) {
      const { callback, context } = entries[at];
      at += 1;
      context.runInAsyncScope(callback, undefined, error);
    }
  } finally {
    if (at < entries.length) process.nextTick(callFrom, entries, at, error);
  }
}

/** Nothing is written any more. */
function refuse(callback) {
  process.nextTick(callback, notOpen());
}

function notOpen() {
  return failure('ERR_CLOSED', 'The connection is not open: a close frame was sent or received.');
}

module.exports = { add, refuse, take };
