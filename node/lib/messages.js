'use strict';

// Connections for programs that await: the end as a promise, messages as an async iterator.

/** From so many messages on that nobody has taken, the socket is not read. */
const MOST_WAITING = 64;

/** Resolves when the connection is over. */
function closed(connection) {
  const outcome = () => ({
    code: connection.closeReasonCode,
    description: connection.closeDescription ?? '',
  });
  if (connection.closeEventEmitted) return Promise.resolve(outcome());
  return new Promise((resolve) => {
    connection.once('close', () => resolve(outcome()));
  });
}

/** Takes the messages one by one. What arrives before the first is asked for is kept. */
function iterate(connection) {
  const waiting = [];
  const takers = [];
  let isOver = connection.closeEventEmitted;
  let hasPaused = false;

  function onMessage(message) {
    const taker = takers.shift();
    if (taker !== undefined) {
      taker({ value: message, done: false });
      return;
    }
    waiting.push(message);
    if (waiting.length >= MOST_WAITING && !hasPaused) {
      hasPaused = true;
      connection.pause();
    }
  }

  function finish() {
    isOver = true;
    connection.removeListener('message', onMessage);
    connection.removeListener('close', finish);
    for (const taker of takers.splice(0)) taker({ value: undefined, done: true });
  }

  if (!isOver) {
    connection.on('message', onMessage);
    connection.on('close', finish);
  }

  return {
    async next() {
      if (waiting.length > 0) {
        const value = waiting.shift();
        if (hasPaused && waiting.length === 0) {
          hasPaused = false;
          connection.resume();
        }
        return { value, done: false };
      }
      if (isOver) return { value: undefined, done: true };
      return new Promise((resolve) => takers.push(resolve));
    },

    /** Leaving the loop stops listening; the connection is left alone. */
    async return(value) {
      waiting.length = 0;
      finish();
      if (hasPaused) {
        hasPaused = false;
        connection.resume();
      }
      return { value, done: true };
    },

    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

module.exports = { closed, iterate };
