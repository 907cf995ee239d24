// The connection type of the scenarios, independent of the library.

export const REJECT_REASON = 'not here';

/** The server answered the handshake with something other than 101. */
export class Rejected extends Error {
  constructor(status, reason) {
    super(`rejected with HTTP ${status}: ${reason}`);
    this.status = status;
    this.reason = reason;
  }
}

/** A queue that is awaited; after `end` it rejects once it is empty. */
class Queue {
  items = [];
  waiting = [];

  push(item) {
    const waiter = this.waiting.shift();
    if (waiter) waiter.resolve(item);
    else this.items.push(item);
  }

  end(error) {
    this.error = error;
    for (const waiter of this.waiting.splice(0)) waiter.reject(error);
  }

  next() {
    if (this.items.length) return Promise.resolve(this.items.shift());
    if (this.error) return Promise.reject(this.error);
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }
}

/**
 * Subclasses have send(data), sendFragmented(data, size), sendPing(payload), startClose(code,
 * reason), and call received, ponged and ended. Text is a string, binary a Buffer.
 */
export class Connection {
  #messages = new Queue();
  #pongs = new Queue();
  #end;
  /** { code, reason } of the close frame that the peer sent; 1005 without, 1006 for no frame. */
  closed = new Promise((resolve) => (this.#end = resolve));

  constructor(protocol) {
    this.protocol = protocol;
  }

  received(message) {
    this.#messages.push(message);
  }

  ponged(payload) {
    this.#pongs.push(payload);
  }

  ended(code, reason) {
    const error = new Error(`the connection closed with ${code} ${reason}`);
    this.#messages.end(error);
    this.#pongs.end(error);
    this.#end({ code, reason });
  }

  /** Hands every message to `handle` from now on, in the very event that brings it. */
  each(handle) {
    this.received = handle;
    this.#messages.items.splice(0).forEach(handle);
  }

  /** The next message. */
  recv() {
    return this.#messages.next();
  }

  /** Sends a ping; the payload of the next pong. */
  ping(payload) {
    this.sendPing(payload);
    return this.pong();
  }

  /** The payload of the next pong. */
  pong() {
    return this.#pongs.next();
  }

  /** Closes; the peer's close frame. */
  close(code = 1000, reason = '') {
    this.startClose(code, reason);
    return this.closed;
  }
}
