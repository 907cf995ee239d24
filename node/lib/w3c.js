'use strict';

// The WebSocket of browsers. Events are dispatched at once, as the package always has.

const { Blob } = require('buffer');

const WebSocketClient = require('./client');
const { isSendable } = require('./close-codes');
const failure = require('./errors');

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

class SocketEvent {
  constructor(type, fields) {
    this.type = type;
    this.isTrusted = false;
    this.cancelable = true;
    this.defaultPrevented = false;
    this.target = null;
    this.currentTarget = null;
    Object.assign(this, fields);
  }

  preventDefault() {
    this.defaultPrevented = true;
  }

  stopImmediatePropagation() {
    this._isStopped = true;
  }
}

/** A plain function, as programs inherit from it the old way: `W3CWebSocket.call(this, url)`. */
function W3CWebSocket(url, protocols, origin, headers, requestOptions, clientConfig) {
  this._listeners = new Map();
  this._url = url;
  this._readyState = CONNECTING;
  this._protocol = undefined;
  this._extensions = '';
  this._binaryType = 'arraybuffer';
  this._connection = undefined;
  /** What waits for a Blob to be read: it is sent in its turn. Nothing, where none is under way. */
  this._queue = null;
  this._queuedBytes = 0;
  // What is handed out are messages.
  this._client = new WebSocketClient({ ...clientConfig, assembleFragments: true });
  this._client.on('connect', (connection) => this._onConnect(connection));
  this._client.on('connectFailed', () => this._onConnectFailed());
  this._client.connect(url, protocols, origin, headers, requestOptions);
}

class Methods {
  get url() {
    return this._url;
  }

  get readyState() {
    return this._readyState;
  }

  get protocol() {
    return this._protocol;
  }

  get extensions() {
    return this._extensions;
  }

  get bufferedAmount() {
    return this._queuedBytes + (this._connection?.bufferedAmount ?? 0);
  }

  get binaryType() {
    return this._binaryType;
  }

  set binaryType(type) {
    if (type !== 'arraybuffer' && type !== 'blob') {
      throw new SyntaxError('just "arraybuffer" and "blob" allowed for "binaryType" attribute');
    }
    this._binaryType = type;
  }

  send(data) {
    if (this._readyState !== OPEN) {
      throw failure('ERR_CLOSED', 'cannot call send() while not connected');
    }
    if (data === null || data === undefined) {
      const error = new TypeError(`cannot send ${data}`);
      throw Object.assign(error, { code: 'ERR_INVALID_ARG_TYPE' });
    }
    if (data instanceof Blob) this._sendBlob(data);
    else if (typeof data === 'string' || data instanceof String) this._sendNow(String(data));
    else if (Buffer.isBuffer(data)) this._sendNow(data);
    else if (ArrayBuffer.isView(data)) {
      this._sendNow(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
    } else if (isBuffer(data)) {
      this._sendNow(Buffer.from(data));
    } else {
      throw failure('ERR_INVALID_ARG_TYPE', 'unknown binary data:');
    }
  }

  /** Now, or once the Blob that was sent before has been read. */
  _sendNow(data) {
    if (this._queue === null) {
      this._connection.send(data);
      return;
    }
    // The program may use its buffer again.
    const kept = typeof data === 'string' ? data : Buffer.from(data);
    const size = Buffer.byteLength(kept);
    this._queuedBytes += size;
    this._queue.push(() => {
      this._queuedBytes -= size;
      this._connection.send(kept);
    });
  }

  _sendBlob(blob) {
    const read = () =>
      blob.arrayBuffer().then(
        (bytes) => {
          this._queuedBytes -= blob.size;
          this._connection.sendBytes(Buffer.from(bytes));
        },
        () => this._connection.drop(1006, 'a Blob could not be read', true),
      );
    this._queuedBytes += blob.size;
    if (this._queue !== null) {
      this._queue.push(read);
      return;
    }
    this._queue = [read];
    this._work();
  }

  async _work() {
    while (this._queue.length > 0) await this._queue.shift()();
    this._queue = null;
  }

  close(code, reason) {
    if (code && !isSendable(code)) {
      throw failure('ERR_INVALID_SEND', `Close code ${code} is not valid.`);
    }
    if (this._readyState === CONNECTING) {
      this._readyState = CLOSING;
      this._client.removeAllListeners();
      // Nobody is to be told of what becomes of it.
      this._client.on('connectFailed', () => {});
      this._client.on('connect', (connection) => closeWith(connection, code, reason));
      this._client.abort();
      process.nextTick(() => this._onConnectFailed());
    } else if (this._readyState === OPEN) {
      this._readyState = CLOSING;
      const close = () => closeWith(this._connection, code, reason);
      if (this._queue === null) close();
      else this._queue.push(close);
    }
  }

  addEventListener(type, listener, options) {
    if (!type || !listener) return;
    const listeners = this._listeners.get(type) ?? [];
    if (listeners.some((other) => other.listener === listener)) return;
    this._listeners.set(type, [...listeners, { listener, isOnce: Boolean(options?.once) }]);
  }

  removeEventListener(type, listener) {
    const listeners = this._listeners.get(type) ?? [];
    this._listeners.set(
      type,
      listeners.filter((other) => other.listener !== listener),
    );
  }

  /** Calls the `on…` handler, and then the listeners. */
  dispatchEvent(event) {
    if (typeof event?.type !== 'string') {
      throw failure('ERR_INVALID_ARG_VALUE', '`event` must have a valid `type` property');
    }
    event.target = this;
    event.currentTarget = this;
    const handler = this[`on${event.type}`];
    if (typeof handler === 'function') handler.call(this, event);
    for (const { listener, isOnce } of this._listeners.get(event.type) ?? []) {
      if (event._isStopped) break;
      if (isOnce) this.removeEventListener(event.type, listener);
      if (typeof listener === 'function') listener.call(this, event);
      else listener.handleEvent(event);
    }
    return !event.defaultPrevented;
  }

  _onConnect(connection) {
    this._readyState = OPEN;
    this._connection = connection;
    this._protocol = connection.protocol;
    this._extensions = connection.extensions;
    connection.on('close', (code, reason) => this._onClose(code, reason));
    connection.on('message', (message) => this._onMessage(message));
    this.dispatchEvent(new SocketEvent('open'));
  }

  _onConnectFailed() {
    if (this._readyState === CONNECTING) {
      this._client.removeAllListeners();
      // It may still fail, and nobody is left to be told.
      this._client.on('connectFailed', () => {});
    }
    this._readyState = CLOSED;
    try {
      this.dispatchEvent(new SocketEvent('error'));
    } finally {
      this._dispatchClose(1006, 'connection failed', false);
    }
  }

  _onClose(code, reason) {
    this._client.removeAllListeners();
    this._connection.removeAllListeners();
    this._readyState = CLOSED;
    // Each end has had the close frame of the other.
    this._dispatchClose(code, reason || '', this._connection._hasClosed);
  }

  _dispatchClose(code, reason, wasClean) {
    this.dispatchEvent(new SocketEvent('close', { code, reason, wasClean }));
  }

  _onMessage(message) {
    let data;
    if (message.type === 'utf8') data = message.utf8Data;
    else if (this._binaryType === 'blob') data = new Blob([message.binaryData]);
    else data = arrayBufferOf(message.binaryData);
    this.dispatchEvent(new SocketEvent('message', { data }));
  }
}

const methods = Object.getOwnPropertyDescriptors(Methods.prototype);
delete methods.constructor;
Object.defineProperties(W3CWebSocket.prototype, methods);

const STATES = { CONNECTING, OPEN, CLOSING, CLOSED };
for (const [name, value] of Object.entries(STATES)) {
  Object.defineProperty(W3CWebSocket, name, { value, enumerable: true });
  Object.defineProperty(W3CWebSocket.prototype, name, { value, enumerable: true });
}

function closeWith(connection, code, reason) {
  if (code) connection.close(code, reason);
  else connection.close();
}

function isBuffer(data) {
  return data instanceof ArrayBuffer || data instanceof SharedArrayBuffer;
}

/** A copy: the bytes around a payload are not the program's. */
function arrayBufferOf({ buffer, byteOffset, byteLength }) {
  return buffer.slice(byteOffset, byteOffset + byteLength);
}

module.exports = W3CWebSocket;
