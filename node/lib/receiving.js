'use strict';

// What a connection receives. `run.js` decides when each event is emitted.

const chunks = require('./chunks');
const { DESCRIPTIONS } = require('./close-codes');
const frames = require('./frame');
const hub = require('./hub');
const { Inbox } = require('./inbox');
const output = require('./output');
const run = require('./run');
const sockets = require('./socket');
const State = require('./state');

const { Event, native } = hub;

const FastBuffer = Buffer[Symbol.species];

/** Bits of `receive`, see `src/receiving.rs`. */
const PINGS_BY_HAND = 1;
const CONTROL_FRAMES = 2;

/** The methods of a connection that receive. */
class Receiving {
  pause() {
    this.socket.pause();
  }

  resume() {
    this.socket.resume();
  }

  _addSocketEventListeners() {
    sockets.listen(this);
  }

  /** Receives bytes of the peer. They stay as they are: what is unmasked is a copy. */
  handleSocketData(chunk) {
    this._receive(this.maskOutgoingPackets ? chunk : Buffer.from(chunk));
  }

  /** Receives a chunk that the socket is emitting. */
  _handleChunk(socket, chunk) {
    // A program may have put a method of its own there, to see every chunk.
    const isOriginal = this.handleSocketData === handleSocketData;
    if (this._mayOwn && isOriginal && chunks.isOurs(this, socket, chunk)) this._receive(chunk);
    else this.handleSocketData(chunk);
  }

  /** Receives bytes that are ours alone, if they are masked. */
  _receive(chunk) {
    if (this._isDeaf || this._id < 0) return;
    const isBusy = this._run !== null || this._backlog !== null;
    if (isBusy || this.inputPaused) (this._backlog ??= []).push(chunk);
    else run.receive(this, chunk);
  }

  /** Takes the next chunk that arrived while events of earlier ones were emitted. */
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

  /** Emits an event of a table: see `src/table.rs`. */
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

  // After the program has closed, nothing is emitted.

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

  /** Handles the peer's close frame, the first one or the answer to ours. */
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

  /** Closes after a fault of the peer, without waiting for its close frame. */
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

  /** Sends our close frame if it is not sent yet, and ends our side of the socket. */
  _finish() {
    output.sendStaged();
    native.handleEnding(hub.hub, this._id);
    hub.arm();
    output.flush(this);
    this.connected = false;
    this.socket.end();
  }

  /** Whether bytes of the peer are unread. Then it is not silent: the program has paused. */
  _hasUnread() {
    return this.socket.readableLength > 0;
  }

  /** Iterates over the messages until the end of the connection. */
  [Symbol.asyncIterator]() {
    return Inbox.of(this).iterate();
  }
}

const { handleSocketData } = Receiving.prototype;

module.exports = Receiving;
