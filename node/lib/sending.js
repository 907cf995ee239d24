'use strict';

// What a connection sends. `output.js` decides when it is written.

const callbacks = require('./callbacks');
const { REASONS } = require('./close-codes');
const failure = require('./errors');
const frames = require('./frame');
const hub = require('./hub');
const output = require('./output');
const State = require('./state');

const { native } = hub;

const EMPTY = Buffer.alloc(0);

/** The methods of a connection that send. */
module.exports = class Sending {
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

  /** Sends a close frame and ends this side of the socket. `close` waits for the peer as well. */
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

  /** Whether the peer has ended its side of the socket. */
  get receivedEnd() {
    return this.socket.readableEnded;
  }

  /** Whether a program with more to send should wait for `drain`. */
  get outputBufferFull() {
    if (this._isDirty) output.flush(this);
    return this._isFull;
  }

  /** The number of bytes that wait to be written. */
  get bufferedAmount() {
    if (this._isDirty) output.flush(this);
    return this.socket.writableLength;
  }

  /** The callback of a message in several frames gets no argument; that of one frame gets null. */
  _forLength(callback, length) {
    const { fragmentOutgoingMessages, fragmentationThreshold } = this.config;
    if (!fragmentOutgoingMessages || length <= fragmentationThreshold) return callback;
    return (error) => (error ? callback(error) : callback());
  }

  /** Writes what is queued. Calls the callbacks with an error once the connection is released. */
  _flush() {
    output.flush(this);
  }

  _refuse(callback) {
    if (typeof callback === 'function') callbacks.refuse(callback);
  }
};
