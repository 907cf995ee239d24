// Which received message answers which sent one.
//
// An echo server answers in order, so an answer matches the first waiting message with the same content,
// and the messages before that one will not be answered. A message that matches none is not an echo. A
// server that never echoes costs a bounded list.

const MAX_WAITING = 1024;
const PROBE = 64;

export class Echoes {
  #waiting = [];

  get waiting() {
    return this.#waiting.length;
  }

  // When the message that has waited longest was sent, or null.
  get oldest() {
    return this.#waiting.length > 0 ? this.#waiting[0].at : null;
  }

  get largest() {
    return this.#waiting.reduce((largest, { size }) => Math.max(largest, size), 0);
  }

  sent(message) {
    this.#waiting.push({ ...message, payload: undefined, key: fingerprint(message.payload) });
    if (this.#waiting.length > MAX_WAITING) this.#waiting.shift();
  }

  // The sent message this payload answers, or null.
  received(payload) {
    if (this.#waiting.length === 0) return null;
    const key = fingerprint(payload);
    const index = this.#waiting.findIndex((message) => message.key === key);
    if (index < 0) return null;
    const message = this.#waiting[index];
    this.#waiting.splice(0, index + 1);
    return message;
  }

  clear() {
    this.#waiting = [];
  }
}

// Kind, length and a hash of the start and the end: enough to tell one user's messages apart, without
// keeping their content or reading megabytes twice.
function fingerprint(payload) {
  const isText = typeof payload === "string";
  const data = isText ? payload : new Uint8Array(payload);
  const at = isText ? (index) => data.charCodeAt(index) : (index) => data[index];
  let hash = 0x811c9dc5;
  const mix = (from, to) => {
    for (let index = from; index < to; index += 1) hash = Math.imul(hash ^ at(index), 0x01000193);
  };
  mix(0, Math.min(PROBE, data.length));
  mix(Math.max(PROBE, data.length - PROBE), data.length);
  return `${isText ? "text" : "binary"} ${data.length} ${hash}`;
}
