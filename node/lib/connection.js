'use strict';

const { EventEmitter } = require('node:events');

const { DESCRIPTIONS, REASONS, isSendable } = require('./close-codes');
const failure = require('./errors');
const frames = require('./frame');
const hub = require('./hub');
const inherit = require('./inherit');
const messages = require('./messages');
const { checkKeepalive, optionsOf } = require('./options');

const { Event, native } = hub;

const FastBuffer = Buffer[Symbol.species];
const EMPTY = Buffer.alloc(0);

/** Where a socket has its connection: so its handlers are the same functions for all. */
const kConnection = Symbol('connection');

/** Bits of `receive`, see `src/receiving.rs`. */
const PINGS_BY_HAND = 1;
const CONTROL_FRAMES = 2;

/** The words of a table, see `src/table.rs`. */
const NEXT = 0;
const IS_FULL = 1;
const HAS_OUTPUT = 2;
const IS_SOONER = 3;
const HEADER = 4;

/** How much may be staged before it is written within the turn. */
const TURN_MAX = 64 << 10;

const State = {
  OPEN: 'open',
  PEER_REQUESTED_CLOSE: 'peer_requested_close',
  ENDING: 'ending',
  CLOSED: 'closed',
};

/** What handshakes agreed on as to compression, by their sockets. */
const agreedOn = new WeakMap();

function WebSocketConnection(socket, extensions, protocol, maskOutgoingPackets, config) {
  EventEmitter.call(this);
  checkKeepalive(config);

  this.socket = socket;
  this.config = config;
  this.protocol = protocol;
  this.extensions = extensions;
  this.maskOutgoingPackets = maskOutgoingPackets;
  this.webSocketVersion = 13;
  this.remoteAddress = socket.remoteAddress;
  this.closeReasonCode = -1;
  this.closeDescription = null;
  this.closeEventEmitted = false;
  this.connected = true;
  this.state = State.OPEN;
  this.inputPaused = false;
  // For programs that look: what counts was read when the connection began.
  this.closeTimeout = config.closeTimeout;
  this.assembleFragments = config.assembleFragments;
  this.maxReceivedMessageSize = config.maxReceivedMessageSize;

  /** Who is told of the end before the program is: the server. */
  this._owner = null;
  /** The number in the hub; negative once that knows this no more. */
  this._id = hub.open(this, !maskOutgoingPackets, optionsOf(config), agreedOn.get(socket));
  agreedOn.delete(socket);
  this._isPlain = hub.isPlain(socket);
  this._isDirty = false;
  this._isFull = false;
  this._stagedLen = 0;
  this._callbacks = null;
  /** The peer has said its last, or did wrong: what comes is not for us. */
  this._isDeaf = false;
  /** What was received and is not emitted yet, as the program has paused. */
  this._backlog = null;
  this._isReceiving = false;
  this._isPausable = false;
  this._closed = null;

  socket.setNoDelay(config.disableNagleAlgorithm);
  socket.setTimeout(0);
  if (config.keepalive && config.useNativeKeepalive) {
    socket.setKeepAlive(true, config.keepaliveInterval);
  }
  takeErrors(socket);
}

inherit(
  WebSocketConnection,
  class {
    // ---- sending

    send(data, callback) {
      if (Buffer.isBuffer(data)) this.sendBytes(data, callback);
      else if (typeof data.toString === 'function') this.sendUTF(data, callback);
      else {
        throw failure(
          'ERR_INVALID_ARG_TYPE',
          'Data provided must either be a Node Buffer or implement toString()',
        );
      }
    }

    sendUTF(data, callback) {
      const text = typeof data === 'string' ? data : String(data.toString());
      if (!this.connected) return this._refuse(callback);
      const most = 3 * text.length;
      if (most <= hub.STAGED_MAX) this._sendStaged(true, text, most, callback);
      else this._sendLent(true, Buffer.from(text, 'utf8'), callback);
    }

    sendBytes(data, callback) {
      if (!Buffer.isBuffer(data)) {
        throw failure(
          'ERR_INVALID_ARG_TYPE',
          'You must pass a Node Buffer object to WebSocketConnection.prototype.sendBytes()',
        );
      }
      if (!this.connected) return this._refuse(callback);
      if (data.length <= hub.STAGED_MAX) this._sendStaged(false, data, data.length, callback);
      else this._sendLent(false, data, callback);
    }

    _sendStaged(isText, data, most, callback) {
      const length = hub.stage(this, isText, data, most);
      this._stagedLen += length;
      if (typeof callback === 'function') this._addCallback(this._forLength(callback, length));
      if (this._stagedLen < TURN_MAX) hub.mark(this);
      else hub.flush(this);
    }

    _sendLent(isText, payload, callback) {
      hub.sendStaged();
      native.sendLent(hub.hub, this._id, isText, payload);
      if (typeof callback === 'function') {
        this._addCallback(this._forLength(callback, payload.length));
      }
      // Copied here: the program may do with its payload what it likes.
      hub.encode(this);
      this._stagedLen += payload.length;
      hub.mark(this);
    }

    ping(data) {
      this._sendControl(true, data);
    }

    pong(data) {
      this._sendControl(false, data);
    }

    _sendControl(isPing, data) {
      if (!this.connected) return;
      let payload = EMPTY;
      if (Buffer.isBuffer(data)) payload = data;
      else if (data) payload = Buffer.from(data.toString(), 'utf8');
      hub.sendStaged();
      native.sendControl(hub.hub, this._id, isPing, payload.subarray(0, 125));
      hub.mark(this);
    }

    sendFrame(frame, callback) {
      if (!this.connected) {
        this._refuse(callback);
        return false;
      }
      frame.mask = this.maskOutgoingPackets;
      const payload = frames.payloadOf(frame);
      frame.length = payload.length;
      hub.sendStaged();
      try {
        native.sendFrame(hub.hub, this._id, frames.firstByte(frame), payload);
      } catch ({ message }) {
        throw failure('ERR_INVALID_SEND', message);
      }
      if (typeof callback === 'function') this._addCallback(callback);
      hub.arm();
      hub.flush(this);
      return !this.outputBufferFull;
    }

    /** Whether this end has closed, and the peer has not answered yet. */
    get waitingForCloseResponse() {
      return this.state === State.ENDING;
    }

    /** Whether the peer sends nothing more. */
    get receivedEnd() {
      return this.socket.readableEnded;
    }

    /**
     * Whether a program that has more to send had better wait for `drain`. Only the socket knows
     * whether that will come, so that much is written first.
     */
    get outputBufferFull() {
      if (this._stagedLen >= this.socket.writableHighWaterMark) hub.flush(this);
      return this._isFull;
    }

    /** How many bytes wait to be written. */
    get bufferedAmount() {
      return this._stagedLen + this.socket.writableLength;
    }

    _addCallback(callback) {
      if (this._callbacks === null) this._callbacks = [callback];
      else this._callbacks.push(callback);
    }

    /** That of a message in several frames gets nothing, where that of one gets null. */
    _forLength(callback, length) {
      const { fragmentOutgoingMessages, fragmentationThreshold } = this.config;
      if (!fragmentOutgoingMessages || length <= fragmentationThreshold) return callback;
      return (error) => (error ? callback(error) : callback());
    }

    /** One callback for all that waits to be told of the next write. */
    _takeCallbacks() {
      const callbacks = this._callbacks;
      if (callbacks === null) return undefined;
      this._callbacks = null;
      if (callbacks.length === 1) return callbacks[0];
      return (error) => {
        for (const callback of callbacks) callback(error);
      };
    }

    /** Nothing is written any more. */
    _failCallbacks() {
      const callbacks = this._takeCallbacks();
      if (callbacks !== undefined) process.nextTick(callbacks, notOpen());
    }

    _refuse(callback) {
      if (typeof callback === 'function') process.nextTick(callback, notOpen());
    }

    // ---- receiving

    pause() {
      const { socket } = this;
      // Few programs pause, and each listener costs memory.
      if (!this._isPausable) {
        this._isPausable = true;
        socket.on('pause', onPause);
        socket.on('resume', onResume);
      }
      socket.pause();
    }

    resume() {
      this.socket.resume();
    }

    _addSocketEventListeners() {
      const { socket } = this;
      socket[kConnection] = this;
      socket.on('end', onEnd);
      socket.on('close', onClose);
      socket.on('drain', onDrain);
      socket.on('data', onData);
    }

    /** Bytes of the peer. */
    handleSocketData(chunk) {
      if (this._isDeaf || this._id < 0) return;
      if (this._isReceiving || this._backlog !== null) {
        (this._backlog ??= []).push({ chunk, table: null });
      } else {
        this._turn(chunk);
      }
    }

    /** Emits all that is in a chunk, and what was kept; then writes what was sent meanwhile. */
    _turn(chunk) {
      this._isReceiving = true;
      hub.enter();
      try {
        if (chunk !== null) this._receive(chunk, 0);
        while (this._backlog !== null && !this.inputPaused && this._id >= 0) {
          const { chunk, table } = this._backlog.shift();
          if (this._backlog.length === 0) this._backlog = null;
          if (table === null) this._receive(chunk, 0);
          else if (this._dispatch(chunk, table, HEADER, table.length) && table[IS_FULL] !== 0) {
            this._receive(chunk, table[NEXT]);
          }
        }
      } finally {
        this._isReceiving = false;
  this._isPausable = false;
        hub.leave();
        // The program threw. What else there is, it is to have nevertheless.
        if (this._backlog !== null && !this.inputPaused) setImmediate(goOn, this);
      }
    }

    /** Decodes a chunk and emits what is in it, a table at a time. */
    _receive(chunk, from) {
      const table = hub.takeTable();
      try {
        let next = from;
        let goesOn;
        do {
          const count = native.receive(hub.hub, this._id, chunk, next, table, this._flags());
          next = table[NEXT];
          if (table[HAS_OUTPUT] !== 0) hub.mark(this);
          if (table[IS_SOONER] !== 0) hub.arm();
          goesOn = this._dispatch(chunk, table, HEADER, HEADER + 3 * count);
        } while (goesOn && table[IS_FULL] !== 0);
      } finally {
        hub.giveTable(table);
      }
    }

    _flags() {
      const byHand = this.listenerCount('ping') > 0 ? PINGS_BY_HAND : 0;
      const isWatched = !this.config.assembleFragments || this.listenerCount('pong') > 0;
      return byHand | (isWatched ? CONTROL_FRAMES : 0);
    }

    /** Emits events of a table. Keeps what is left, and returns false, if the program stops it. */
    _dispatch(chunk, table, start, end) {
      let at = start;
      let isDone = false;
      try {
        while (at < end && !this.inputPaused && this._id >= 0) {
          const kind = table[at];
          at += 3;
          this._dispatchOne(chunk, kind, table[at - 2], table[at - 1]);
        }
        isDone = at === end && !this.inputPaused;
      } finally {
        if (!isDone && this._id >= 0 && (at < end || table[IS_FULL] !== 0)) {
          const rest = new Uint32Array(HEADER + end - at);
          rest.set(table.subarray(0, HEADER));
          rest.set(table.subarray(at, end), HEADER);
          (this._backlog ??= []).unshift({ chunk, table: rest });
        }
      }
      return isDone && this._id >= 0;
    }

    _dispatchOne(chunk, kind, one, two) {
      switch (kind) {
        case Event.BINARY:
          this._emitBinary(new FastBuffer(chunk.buffer, chunk.byteOffset + one, two));
          break;
        case Event.ASCII:
          this._emitText(chunk.latin1Slice(one, one + two));
          break;
        case Event.TEXT:
          this._emitText(chunk.utf8Slice(one, one + two));
          break;
        case Event.OWNED_BINARY:
          this._emitBinary(native.takeBytes(hub.hub, this._id));
          break;
        case Event.OWNED_TEXT:
          this._emitText(native.takeText(hub.hub, this._id));
          break;
        case Event.FRAME: {
          const payload = native.takeBytes(hub.hub, this._id);
          this._emitFrame(frames.received(one, two !== 0, payload));
          break;
        }
        case Event.PING:
          this._handlePing(native.takeBytes(hub.hub, this._id), one !== 0);
          break;
        case Event.PONG:
          this._handlePong(native.takeBytes(hub.hub, this._id));
          break;
        case Event.CLOSE:
          this._handleClose(one, native.takeText(hub.hub, this._id));
          break;
        case Event.FAULT:
          this._handleFault(one, native.takeText(hub.hub, this._id));
          break;
      }
    }

    // A program that has closed has heard enough: what comes then is not emitted.

    _emitText(utf8Data) {
      if (this.connected) this.emit('message', { type: 'utf8', utf8Data });
    }

    _emitBinary(binaryData) {
      if (this.connected) this.emit('message', { type: 'binary', binaryData });
    }

    _emitFrame(frame) {
      if (this.connected && !this.config.assembleFragments) this.emit('frame', frame);
    }

    _handlePing(payload, isByHand) {
      this._emitFrame(frames.received(0x89, !this.maskOutgoingPackets, payload));
      if (!isByHand || !this.connected) return;
      let isCancelled = false;
      this.emit('ping', () => (isCancelled = true), payload);
      if (!isCancelled) this.pong(payload);
    }

    _handlePong(payload) {
      this._emitFrame(frames.received(0x8a, !this.maskOutgoingPackets, payload));
      if (this.connected) this.emit('pong', payload);
    }

    /** The peer's close frame: the answer to ours, or the first. */
    _handleClose(code, reason) {
      this._emitFrame(frames.receivedClose(code, reason, !this.maskOutgoingPackets));
      if (this._id < 0) return;
      this._isDeaf = true;
      if (this.state === State.OPEN) {
        this.state = State.PEER_REQUESTED_CLOSE;
        this.closeReasonCode = code;
        this.closeDescription = reason || DESCRIPTIONS[code];
      } else {
        this.state = State.CLOSED;
      }
      this._finish();
    }

    /** The peer did wrong. It is told, and the program too, and nobody waits. */
    _handleFault(code, description) {
      this._isDeaf = true;
      const isFirst = this.state === State.OPEN;
      this.state = State.CLOSED;
      if (isFirst) {
        this.closeReasonCode = code;
        this.closeDescription = description;
      }
      this._finish();
      this._emitClose();
    }

    /** Answers the end of the peer's part, and ends ours. */
    _finish() {
      hub.sendStaged();
      native.handleEnding(hub.hub, this._id);
      hub.arm();
      hub.flush(this);
      this.connected = false;
      this.socket.end();
    }

    /** Whether bytes of the peer lie unread: then it has not been silent, the program is deaf. */
    _hasUnread() {
      return this.socket.readableLength > 0;
    }

    // ---- closing

    close(reasonCode, description) {
      if (!this.connected) return;
      const code = typeof reasonCode === 'number' ? reasonCode : REASONS.CLOSE_REASON_NORMAL;
      if (!isSendable(code)) {
        throw failure('ERR_INVALID_SEND', `Close code ${code} is not valid.`);
      }
      this.closeReasonCode = code;
      this.closeDescription = typeof description === 'string' ? description : DESCRIPTIONS[code];
      this.state = State.ENDING;
      this.connected = false;
      hub.sendStaged();
      native.close(hub.hub, this._id, code, this.closeDescription ?? '');
      hub.arm();
      hub.flush(this);
    }

    drop(reasonCode, description, skipCloseFrame) {
      const code =
        typeof reasonCode === 'number' ? reasonCode : REASONS.CLOSE_REASON_PROTOCOL_ERROR;
      this.closeReasonCode = code;
      this.closeDescription = typeof description === 'string' ? description : DESCRIPTIONS[code];
      if (this._id >= 0 && !skipCloseFrame) {
        hub.sendStaged();
        native.abort(hub.hub, this._id, code, this.closeDescription ?? '');
        hub.flush(this);
      }
      this.connected = false;
      this.state = State.CLOSED;
      this._release();
      this._emitClose();
      this._destroy(skipCloseFrame);
    }

    /** Ends the socket, with a last chance for what is still to be written. */
    _destroy(isAtOnce) {
      const { socket } = this;
      if (isAtOnce || socket.writableLength === 0) {
        socket.destroy();
      } else {
        socket.destroySoon();
        setTimeout(() => socket.destroy(), this.config.closeTimeout).unref();
      }
    }

    _emitClose() {
      if (this.closeEventEmitted) return;
      this.closeEventEmitted = true;
      if (this._owner !== null) this._owner.handleConnectionClose(this, this.closeReasonCode, this.closeDescription);
      this.emit('close', this.closeReasonCode, this.closeDescription);
    }

    /** The native hub need not know this any more. */
    _release() {
      if (this._id < 0) return;
      hub.sendStaged();
      hub.release(this);
      this._backlog = null;
    }

    // ---- for modern programs

    /** Resolves when the connection is over, with its code and description. Never rejects. */
    get closed() {
      return (this._closed ??= messages.closed(this));
    }

    /** The messages, to be taken one by one; the end of the connection ends it. */
    [Symbol.asyncIterator]() {
      return messages.iterate(this);
    }
  },
);

Object.assign(WebSocketConnection, REASONS, { CLOSE_DESCRIPTIONS: DESCRIPTIONS });

// ---- the socket's events: `this` is the socket

function onData(chunk) {
  this[kConnection].handleSocketData(chunk);
}

/**
 * Has nobody else listen to the errors of a socket: those of Node's HTTP client, say, are of no use
 * to a program. Removing all, and adding ours, would make the socket larger.
 */
function takeErrors(socket) {
  if (!socket.listeners('error').includes(onError)) socket.on('error', onError);
  for (const listener of socket.listeners('error')) {
    if (listener !== onError) socket.removeListener('error', listener);
  }
}

function onError(error) {
  const connection = this[kConnection];
  // Before it is accepted, its request takes note of its end.
  if (connection === undefined || connection.state === State.CLOSED) return;
  connection.closeReasonCode = REASONS.CLOSE_REASON_ABNORMAL;
  connection.closeDescription = `Socket Error: ${error.syscall} ${error.code}`;
  connection.connected = false;
  connection.state = State.CLOSED;
  if (connection.listenerCount('error') > 0) connection.emit('error', error);
  this.destroy();
}

/** The peer sends nothing more. */
function onEnd() {
  this.end();
}

function onClose(hadError) {
  const connection = this[kConnection];
  connection.socketHadError = hadError;
  connection.connected = false;
  connection.state = State.CLOSED;
  if (connection.closeReasonCode === -1) {
    connection.closeReasonCode = REASONS.CLOSE_REASON_ABNORMAL;
    connection.closeDescription = 'Connection dropped by remote peer.';
  }
  connection._release();
  connection._failCallbacks();
  connection._emitClose();
}

function onDrain() {
  const connection = this[kConnection];
  connection._isFull = false;
  connection.emit('drain');
}

function onPause() {
  const connection = this[kConnection];
  connection.inputPaused = true;
  connection.emit('pause');
}

function onResume() {
  // One that was under way when the program paused comes nevertheless.
  if (this.isPaused()) return;
  const connection = this[kConnection];
  connection.inputPaused = false;
  connection.emit('resume');
  goOn(connection);
}

function goOn(connection) {
  const { _backlog, _id, _isReceiving, inputPaused } = connection;
  if (_backlog !== null && !_isReceiving && !inputPaused && _id >= 0) connection._turn(null);
}

function notOpen() {
  return failure('ERR_CLOSED', 'The connection is not open: a close frame was sent or received.');
}

module.exports = { WebSocketConnection, agreedOn, takeErrors };
