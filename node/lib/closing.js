'use strict';

// How a connection ends.

const { DESCRIPTIONS, REASONS, isSendable } = require('./close-codes');
const failure = require('./errors');
const hub = require('./hub');
const output = require('./output');
const State = require('./state');

const { native } = hub;

/** The methods of a connection that end it, and the promise of its end. */
module.exports = class Closing {
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
    // No loop will take the messages that wait, and the peer's close frame is behind them.
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
    // What the system has not taken is lost: the peer may never take it.
    this.socket.destroy();
  }

  _emitClose() {
    if (this.closeEventEmitted) return;
    this.closeEventEmitted = true;
    const { closeDescription, closeReasonCode } = this;
    this._inbox?.finish();
    this._owner?.handleConnectionClose(this, closeReasonCode, closeDescription);
    this.emit('close', closeReasonCode, closeDescription);
  }

  /** Releases the connection in the native hub. */
  _release() {
    if (this._id < 0) return;
    output.sendStaged();
    hub.release(this);
    this._backlog = null;
  }

  /** Calls a method in the asynchronous context in which the connection was made. */
  _inContext(method, ...values) {
    this._context.runInAsyncScope(method, this, ...values);
  }

  /** A promise of the close code and description. Never rejects. */
  get closed() {
    return (this._closed ??= closed(this));
  }
};

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
