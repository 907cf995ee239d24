'use strict';

// Messages for whoever takes them one by one: `for await`. What came while nobody listened is kept,
// so that a program may await something else before its loop, or between two.

const failure = require('./errors');

/** From so much on, the socket is not read, or what came is given up. */
const MOST_MESSAGES = 64;
const MOST_BYTES = 256 << 10;

class Inbox {
  /** That of a connection. */
  static of(connection) {
    return (connection._inbox ??= new Inbox(connection));
  }

  constructor(connection) {
    this.connection = connection;
    this.waiting = [];
    this.size = 0;
    this.takers = [];
    /** How many loops are under way. */
    this.loops = 0;
    /** Whether the program is one that takes messages: then it is waited for. */
    this.isPatient = false;
    this.hasPaused = false;
    this.lost = 0;
  }

  put(message, isHeard) {
    if (isHeard && this.loops === 0) {
      // A program of listeners. It has no use for what came before.
      this.connection._inbox = null;
      return;
    }
    const taker = this.takers.shift();
    if (taker !== undefined) {
      taker({ value: message, done: false });
      return;
    }
    if (this.lost > 0) {
      this.lost += 1;
      return;
    }
    this.waiting.push(this.loops === 0 ? alone(message) : message);
    this.size += sizeOf(message);
    // One is kept, however long it is.
    const isMuch = this.size > MOST_BYTES && this.waiting.length > 1;
    if (this.waiting.length <= MOST_MESSAGES && !isMuch) return;
    if (this.isPatient) this.pause();
    else this.giveUp();
  }

  pause() {
    if (this.hasPaused) return;
    this.hasPaused = true;
    this.connection.pause();
    // A program that goes on with listeners does not want what waits.
    this.onListener = (event) => {
      if (event === 'message' && this.loops === 0) this.resume();
    };
    this.connection.on('newListener', this.onListener);
  }

  resume() {
    if (!this.hasPaused) return;
    this.hasPaused = false;
    this.connection.removeListener('newListener', this.onListener);
    this.connection.resume();
  }

  /** A program that only sends must not be held up, nor keep without end what it does not want. */
  giveUp() {
    this.lost = this.waiting.length;
    this.waiting = [];
    this.size = 0;
  }

  take() {
    const message = this.waiting.shift();
    this.size -= sizeOf(message);
    if (this.waiting.length === 0) this.resume();
    return message;
  }

  next() {
    if (this.lost > 0) {
      const { lost } = this;
      this.lost = 0;
      return Promise.reject(
        failure(
          'ERR_MESSAGES_LOST',
          `${lost} messages came before the loop over them began, and no more than ` +
            `${MOST_MESSAGES}, or ${MOST_BYTES} bytes, are kept: begin the loop, or pause, earlier`,
        ),
      );
    }
    if (this.waiting.length > 0) return Promise.resolve({ value: this.take(), done: false });
    if (this.connection.closeEventEmitted) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve) => this.takers.push(resolve));
  }

  /** Nothing more comes. */
  finish() {
    for (const taker of this.takers.splice(0)) taker({ value: undefined, done: true });
  }

  /** Loops at the same time share the messages. */
  iterate() {
    const inbox = this;
    let isLeft = false;
    inbox.loops += 1;
    inbox.isPatient = true;
    const leave = () => {
      if (!isLeft) inbox.loops -= 1;
      isLeft = true;
    };
    return {
      async next() {
        if (isLeft) return { value: undefined, done: true };
        const result = await inbox.next();
        if (result.done) leave();
        return result;
      },

      /** Leaving the loop leaves the connection alone; what is left is for the next loop. */
      async return(value) {
        leave();
        return { value, done: true };
      },

      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }
}

function sizeOf({ utf8Data, binaryData }) {
  return (utf8Data ?? binaryData).length;
}

/** Bytes without the chunk that they came in, which may be much larger. */
function alone(message) {
  if (message.type === 'utf8') return message;
  return { type: 'binary', binaryData: Buffer.from(message.binaryData) };
}

module.exports = { Inbox };
