'use strict';
// WebSocket by hand: frames and handshakes as bytes, so that the libraries under test meet a peer
// that is neither of them, and that may misbehave.
const { createHash, randomBytes } = require('node:crypto');
const net = require('node:net');

const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };
const NAMES = Object.fromEntries(Object.entries(OPCODE).map(([name, code]) => [code, name]));
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

const acceptKey = (key) =>
  createHash('sha1')
    .update(key + GUID)
    .digest('base64');

/** A frame; `length` writes that length into the header, whatever the payload's is. */
function frame({ opcode = 'text', fin = true, rsv = 0, mask = false, payload = '', length, wide = false }) {
  const data = Buffer.from(payload);
  const code = typeof opcode === 'number' ? opcode : OPCODE[opcode];
  const size = length ?? data.length;
  const flag = mask ? 0x80 : 0;
  let head;
  if (wide || size > 0xffff) {
    head = Buffer.alloc(10);
    head[1] = flag | 127;
    head.writeBigUInt64BE(BigInt(size), 2);
  } else if (size > 125) {
    head = Buffer.alloc(4);
    head[1] = flag | 126;
    head.writeUInt16BE(size, 2);
  } else {
    head = Buffer.from([0, flag | size]);
  }
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | code;
  if (!mask) return Buffer.concat([head, data]);
  const key = randomBytes(4);
  return Buffer.concat([head, key, data.map((byte, at) => byte ^ key[at & 3])]);
}

/** The payload of a close frame. */
function closing(code, reason = '') {
  if (code === undefined) return Buffer.alloc(0);
  return Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason)]);
}

/** The first frame of `bytes` and its size, or null if it is not all there. */
function parse(bytes) {
  if (bytes.length < 2) return null;
  let [size, at] = [bytes[1] & 0x7f, 2];
  if (size === 126) {
    if (bytes.length < 4) return null;
    [size, at] = [bytes.readUInt16BE(2), 4];
  } else if (size === 127) {
    if (bytes.length < 10) return null;
    [size, at] = [Number(bytes.readBigUInt64BE(2)), 10];
  }
  const masked = Boolean(bytes[1] & 0x80);
  const start = at + (masked ? 4 : 0);
  if (bytes.length < start + size) return null;
  const key = bytes.subarray(at, start);
  let payload = Buffer.from(bytes.subarray(start, start + size));
  if (masked) payload = payload.map((byte, n) => byte ^ key[n & 3]);
  return {
    opcode: NAMES[bytes[0] & 0x0f] ?? bytes[0] & 0x0f,
    fin: Boolean(bytes[0] & 0x80),
    rsv: (bytes[0] >> 4) & 7,
    masked,
    payload: Buffer.from(payload),
    total: start + size,
  };
}

/** One end of a socket, by hand. */
class Peer {
  #bytes = Buffer.alloc(0);
  #waiting = [];
  #ended = false;

  constructor(socket, { masks = false } = {}) {
    this.socket = socket;
    this.masks = masks;
    /** Does not hang up because the other side does. */
    this.holds = false;
    /** Resolves when nothing more can come, to 'end' or to the code of an error. */
    this.ended = new Promise((resolve) => {
      const end = (how) => {
        this.#ended = true;
        resolve(how);
        this.#serve();
      };
      socket.on('data', (chunk) => {
        this.#bytes = Buffer.concat([this.#bytes, chunk]);
        this.#serve();
      });
      socket.on('end', () => {
        end('end');
        if (!this.holds) socket.end();
      });
      socket.on('error', (error) => end(error.code));
      socket.on('close', () => end('close'));
    });
  }

  #serve() {
    while (this.#waiting.length) {
      const { take, resolve } = this.#waiting[0];
      const taken = take(this.#bytes);
      if (taken === null && !this.#ended) return;
      if (taken !== null) this.#bytes = this.#bytes.subarray(taken.total);
      this.#waiting.shift();
      resolve(taken);
    }
  }

  #take(take) {
    return new Promise((resolve) => {
      this.#waiting.push({ take, resolve });
      this.#serve();
    });
  }

  /** The next frame; null if none comes any more. */
  next() {
    return this.#take(parse);
  }

  /** All frames until the other side ends. */
  async rest() {
    const frames = [];
    for (let next = await this.next(); next; next = await this.next()) frames.push(next);
    return frames;
  }

  /** What comes before the first empty line, as text; null if there is none. */
  async head() {
    const found = await this.#take((bytes) => {
      const at = bytes.indexOf('\r\n\r\n');
      return at < 0 ? null : { text: bytes.toString('latin1', 0, at), total: at + 4 };
    });
    return found && found.text;
  }

  /** Bytes that are no frame, until the other side ends. */
  async tail() {
    await this.ended;
    return this.#bytes;
  }

  write(bytes) {
    this.socket.write(bytes);
    return this;
  }

  /** Sends a frame, masked as this side has to, if not said otherwise. */
  send(options) {
    return this.write(frame({ mask: this.masks, ...options }));
  }

  /** Bytes of a frame, masked as this side has to. */
  frame(options) {
    return frame({ mask: this.masks, ...options });
  }

  close(code, reason) {
    return this.send({ opcode: 'close', payload: closing(code, reason) });
  }
}

/** The text of a handshake's request; a header of null is left out. */
function upgradeRequest({ path = '/', headers = {}, method = 'GET' } = {}) {
  const all = {
    Host: 'localhost',
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version': '13',
    ...headers,
  };
  const lines = Object.entries(all)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

/** Connects to a server under test; the response's head is not read yet. */
function dial(port, request) {
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.setNoDelay(true);
  const peer = new Peer(socket, { masks: true });
  socket.write(typeof request === 'string' ? request : upgradeRequest(request));
  return peer;
}

/** Answers a handshake's request whose head is `request`. */
function upgradeResponse(request, headers = {}) {
  const key = /^sec-websocket-key: *(.*)$/im.exec(request)?.[1] ?? '';
  const all = {
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Accept': acceptKey(key),
    ...headers,
  };
  const lines = Object.entries(all)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 101 Switching Protocols\r\n${lines.join('')}\r\n`;
}

module.exports = { OPCODE, Peer, acceptKey, closing, dial, frame, parse, upgradeRequest, upgradeResponse };
