'use strict';

const { AsyncResource } = require('async_hooks');
const { EventEmitter } = require('events');

const { DESCRIPTIONS, REASONS, isSendable } = require('./close-codes');
const callbacks = require('./callbacks');
const failure = require('./errors');
const frames = require('./frame');
const hub = require('./hub');
const { Inbox } = require('./inbox');
const inherit = require('./inherit');
const { checkKeepalive, optionsOf } = require('./options');
const output = require('./output');
const run = require('./run');
const sockets = require('./socket');
const State = require('./state');

const { Event, native } = hub;

const FastBuffer = Buffer[Symbol.species];
const EMPTY = Buffer.alloc(0);

/** Bits of `receive`, see `src/receiving.rs`. */
const PINGS_BY_HAND = 1;
const CONTROL_FRAMES = 2;

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
  /** What happens by the clock, and not by what comes through the socket, is in this context. */
  this._context = new AsyncResource('TowlineConnection');
  this._isPlain = output.isPlain(socket);
  /** Whether something is staged, how much, and while which message that was sent last. */
  this._isDirty = false;
  this._stagedLen = 0;
  this._sentIn = 0;
  this._callbacks = null;
  this._isFull = false;
  /** The peer has said its last, or did wrong: what comes is not for us. */
  this._isDeaf = false;
  /** Whether each end has had the close frame of the other. */
  this._hasClosed = false;
  /** Whether the peer has ended its side, and ours is to follow. */
  this._hasEnded = false;
  /** How messages are handed out: `run.js`. */
  this._isSynchronous = Boolean(config.allowSynchronousEvents);
  this._isQuick = false;
  this._run = null;
  this._backlog = null;
  /** Messages that nobody has listened for, or those who take them one by one. */
  this._inbox = null;
  this._closed = null;

  sockets.prepare(socket, config);
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
      const told = typeof callback === 'function' ? callback : undefined;
      const most = 3 * text.length;
      if (most <= output.STAGED_MAX) output.sendShort(this, true, text, most, told);
      else output.sendLong(this, true, Buffer.from(text, 'utf8'), told);
    }

    sendBytes(data, callback) {
      if (!Buffer.isBuffer(data)) {
        throw failure(
          'ERR_INVALID_ARG_TYPE',
          'You must pass a Node Buffer object to WebSocketConnection.prototype.sendBytes()',
        );
      }
      if (!this.connected) return this._refuse(callback);
      const told = typeof callback === 'function' ? callback : undefined;
      if (data.length <= output.STAGED_MAX) {
        output.sendShort(this, false, data, data.length, told);
      } else {
        output.sendLong(this, false, data, told);
      }
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
      output.sendStaged();
      native.sendControl(hub.hub, this._id, isPing, payload.subarray(0, 125));
      output.settle(this, payload.length);
    }

    sendFrame(frame, callback) {
      if (!this.connected) {
        this._refuse(callback);
        return false;
      }
      frame.mask = this.maskOutgoingPackets;
      const payload = frames.payloadOf(frame);
      frame.length = payload.length;
      output.sendStaged();
      try {
        native.sendFrame(hub.hub, this._id, frames.firstByte(frame), payload);
      } catch ({ message }) {
        throw failure('ERR_INVALID_SEND', message);
      }
      hub.arm();
      output.flush(this, typeof callback === 'function' ? callback : undefined);
      return !this.outputBufferFull;
    }

    /** Sends a close frame, and ends this side of the socket. `close` waits for the peer's as well. */
    sendCloseFrame(reasonCode, description, callback) {
      const frame = new frames.WebSocketFrame();
      frame.fin = true;
      frame.opcode = 0x08;
      frame.closeStatus = typeof reasonCode === 'number' ? reasonCode : REASONS.CLOSE_REASON_NORMAL;
      if (typeof description === 'string') frame.binaryPayload = Buffer.from(description, 'utf8');
      this.sendFrame(frame, callback);
      this.socket.end();
    }

    /** Whether this end has closed, and the peer has not answered yet. */
    get waitingForCloseResponse() {
      return this.state === State.ENDING;
    }

    /** Whether the peer sends nothing more. */
    get receivedEnd() {
      return this.socket.readableEnded;
    }

    /** Whether a program that has more to send had better wait for `drain`. */
    get outputBufferFull() {
      if (this._isDirty) output.flush(this);
      return this._isFull;
    }

    /** How many bytes wait to be written. */
    get bufferedAmount() {
      if (this._isDirty) output.flush(this);
      return this.socket.writableLength;
    }

    /** That of a message in several frames gets nothing, where that of one gets null. */
    _forLength(callback, length) {
      const { fragmentOutgoingMessages, fragmentationThreshold } = this.config;
      if (!fragmentOutgoingMessages || length <= fragmentationThreshold) return callback;
      return (error) => (error ? callback(error) : callback());
    }

    /** Writes what is to be written. Tells callbacks, where nothing is written any more. */
    _flush() {
      output.flush(this);
    }

    _refuse(callback) {
      if (typeof callback === 'function') callbacks.refuse(callback);
    }

    // ---- receiving

    pause() {
      this.socket.pause();
    }

    resume() {
      this.socket.resume();
    }

    _addSocketEventListeners() {
      sockets.listen(this);
    }

    /** Bytes of the peer. */
    handleSocketData(chunk) {
      if (this._isDeaf || this._id < 0) return;
      const isBusy = this._run !== null || this._backlog !== null;
      if (isBusy || this.inputPaused) (this._backlog ??= []).push(chunk);
      else run.receive(this, chunk);
    }

    /** The next chunk that came while others were handed out. */
    _takeBacklog() {
      if (this._backlog === null || this._isDeaf) return undefined;
      const chunk = this._backlog.shift();
      if (this._backlog.length === 0) this._backlog = null;
      return chunk;
    }

    _flags() {
      const byHand = this.listenerCount('ping') > 0 ? PINGS_BY_HAND : 0;
      const isWatched = !this.config.assembleFragments || this.listenerCount('pong') > 0;
      return byHand | (isWatched ? CONTROL_FRAMES : 0);
    }

    /** An event of a table: see `src/table.rs`. */
    _dispatch(chunk, kind, one, two) {
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
      if (this.connected) this._emitMessage({ type: 'utf8', utf8Data });
    }

    _emitBinary(binaryData) {
      if (this.connected) this._emitMessage({ type: 'binary', binaryData });
    }

    _emitMessage(message) {
      const isHeard = this.emit('message', message);
      if (this._inbox !== null) this._inbox.put(message, isHeard);
      else if (!isHeard && this.config.assembleFragments) Inbox.of(this).put(message, false);
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
      this._hasClosed = true;
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
      output.sendStaged();
      native.handleEnding(hub.hub, this._id);
      hub.arm();
      output.flush(this);
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
      output.sendStaged();
      native.close(hub.hub, this._id, code, this.closeDescription ?? '');
      hub.arm();
      output.flush(this);
      // Nobody will take what the socket is not read for; the peer's close frame is behind it.
      this._inbox?.resume();
    }

    drop(reasonCode, description, skipCloseFrame) {
      const code = typeof reasonCode === 'number' ? reasonCode : REASONS.CLOSE_REASON_PROTOCOL_ERROR;
      this.closeReasonCode = code;
      this.closeDescription = typeof description === 'string' ? description : DESCRIPTIONS[code];
      if (this._id >= 0) {
        output.sendStaged();
        if (!skipCloseFrame) native.abort(hub.hub, this._id, code, this.closeDescription ?? '');
        output.flush(this);
      }
      this.connected = false;
      this.state = State.CLOSED;
      this._release();
      this._emitClose();
      sockets.finish(this.socket, skipCloseFrame, this.config.closeTimeout);
    }

    _emitClose() {
      if (this.closeEventEmitted) return;
      this.closeEventEmitted = true;
      const { closeDescription, closeReasonCode } = this;
      this._inbox?.finish();
      this._owner?.handleConnectionClose(this, closeReasonCode, closeDescription);
      this.emit('close', closeReasonCode, closeDescription);
    }

    /** The native hub need not know this any more. */
    _release() {
      if (this._id < 0) return;
      output.sendStaged();
      hub.release(this);
      this._backlog = null;
    }

    /** Calls a method in the context that the connection was made in. */
    _inContext(method, ...values) {
      this._context.runInAsyncScope(method, this, ...values);
    }

    // ---- for modern programs

    /** Resolves when the connection is over, with its code and description. Never rejects. */
    get closed() {
      return (this._closed ??= closed(this));
    }

    /** The messages, to be taken one by one; the end of the connection ends it. */
    [Symbol.asyncIterator]() {
      return Inbox.of(this).iterate();
    }
  },
);

Object.assign(WebSocketConnection, REASONS, { CLOSE_DESCRIPTIONS: DESCRIPTIONS });

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

module.exports = { WebSocketConnection, agreedOn };
