'use strict';

// The WebSocket of browsers. Events are dispatched at once, as the package always has.

const WebSocketClient = require('./client');
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

class W3CWebSocket {
  constructor(url, protocols, origin, headers, requestOptions, clientConfig) {
    this._listeners = new Map();
    this._url = url;
    this._readyState = CONNECTING;
    this._protocol = undefined;
    this._extensions = '';
    this._binaryType = 'arraybuffer';
    this._connection = undefined;
    // What is handed out are messages.
    this._client = new WebSocketClient({ ...clientConfig, assembleFragments: true });
    this._client.on('connect', (connection) => this._onConnect(connection));
    this._client.on('connectFailed', () => this._onConnectFailed());
    this._client.connect(url, protocols, origin, headers, requestOptions);
  }

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
    return this._connection?.bufferedAmount ?? 0;
  }

  get binaryType() {
    return this._binaryType;
  }

  set binaryType(type) {
    if (type !== 'arraybuffer') {
      throw new SyntaxError('just "arraybuffer" type allowed for "binaryType" attribute');
    }
    this._binaryType = type;
  }

  send(data) {
    if (this._readyState !== OPEN) {
      throw failure('ERR_CLOSED', 'cannot call send() while not connected');
    }
    if (typeof data === 'string' || data instanceof String) {
      this._connection.sendUTF(data);
    } else if (Buffer.isBuffer(data)) {
      this._connection.sendBytes(data);
    } else if (ArrayBuffer.isView(data)) {
      this._connection.sendBytes(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
    } else if (data instanceof ArrayBuffer || data instanceof SharedArrayBuffer) {
      this._connection.sendBytes(Buffer.from(data));
    } else {
      throw failure('ERR_INVALID_ARG_TYPE', 'unknown binary data:');
    }
  }

  close(code, reason) {
    if (this._readyState === CONNECTING) {
      this._client.removeAllListeners('connect');
      this._onConnectFailed();
      // There is no telling whether the server has answered: if it does, it is closed.
      this._client.on('connect', (connection) => closeWith(connection, code, reason));
    } else if (this._readyState === OPEN) {
      this._readyState = CLOSING;
      closeWith(this._connection, code, reason);
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
    this._listeners.set(type, listeners.filter((other) => other.listener !== listener));
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
    this._client.removeAllListeners();
    // It may still fail, and nobody is left to be told.
    this._client.on('connectFailed', () => {});
    this._readyState = CLOSED;
    try {
      this.dispatchEvent(new SocketEvent('error'));
    } finally {
      this._dispatchClose(1006, 'connection failed');
    }
  }

  _onClose(code, reason) {
    this._client.removeAllListeners();
    this._connection.removeAllListeners();
    this._readyState = CLOSED;
    this._dispatchClose(code, reason || '');
  }

  _dispatchClose(code, reason) {
    const wasClean = code === undefined || code === 1000;
    this.dispatchEvent(new SocketEvent('close', { code, reason, wasClean }));
  }

  _onMessage(message) {
    const data = message.type === 'utf8' ? message.utf8Data : arrayBufferOf(message.binaryData);
    this.dispatchEvent(new SocketEvent('message', { data }));
  }
}

const STATES = { CONNECTING, OPEN, CLOSING, CLOSED };
for (const [name, value] of Object.entries(STATES)) {
  Object.defineProperty(W3CWebSocket, name, { value, enumerable: true });
  Object.defineProperty(W3CWebSocket.prototype, name, { value, enumerable: true });
}

function closeWith(connection, code, reason) {
  if (code) connection.close(code, reason);
  else connection.close();
}

/** A copy: the bytes around a payload are not the program's. */
function arrayBufferOf({ buffer, byteOffset, byteLength }) {
  return buffer.slice(byteOffset, byteOffset + byteLength);
}

module.exports = W3CWebSocket;
