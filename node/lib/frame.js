'use strict';

const { native } = require('./hub');

const EMPTY = Buffer.alloc(0);

/**
 * A single frame, as it is on the wire. What WebSocket-Node passes here is of no use any more, and may
 * be left out. A plain function, as programs inherit from it the old way.
 */
function WebSocketFrame() {
  this.fin = false;
  this.rsv1 = false;
  this.rsv2 = false;
  this.rsv3 = false;
  this.mask = false;
  this.opcode = 0;
  this.length = 0;
  this.binaryPayload = undefined;
  this.closeStatus = -1;
}

/** The bytes on the wire. With `nullMask`, a masked frame has the key 0. */
WebSocketFrame.prototype.toBuffer = function toBuffer(nullMask) {
  const payload = payloadOf(this);
  this.length = payload.length;
  const mask = this.mask ? (nullMask ? 0 : native.randomMask()) : undefined;
  const { buffer, byteOffset, byteLength } = native.encodeFrame(firstByte(this), payload, mask);
  return Buffer.from(buffer, byteOffset, byteLength);
};

WebSocketFrame.prototype.toString = function toString() {
  return (
    `Opcode: ${this.opcode}, fin: ${this.fin}, length: ${this.length}, ` +
    `hasPayload: ${Boolean(this.binaryPayload)}, masked: ${this.mask}`
  );
};

function firstByte(frame) {
  return (
    (frame.fin ? 0x80 : 0) |
    (frame.rsv1 ? 0x40 : 0) |
    (frame.rsv2 ? 0x20 : 0) |
    (frame.rsv3 ? 0x10 : 0) |
    (frame.opcode & 0x0f)
  );
}

/** What follows the header: in a close frame, the code stands before `binaryPayload`. */
function payloadOf(frame) {
  const payload = frame.binaryPayload ?? EMPTY;
  if (frame.opcode !== 0x08) return payload;
  if (frame.closeStatus < 0) return EMPTY;
  const code = Buffer.allocUnsafe(2);
  code.writeUInt16BE(frame.closeStatus, 0);
  return Buffer.concat([code, payload]);
}

/** A frame that was received. */
function received(first, isMasked, payload) {
  const frame = new WebSocketFrame();
  frame.fin = (first & 0x80) !== 0;
  frame.rsv1 = (first & 0x40) !== 0;
  frame.rsv2 = (first & 0x20) !== 0;
  frame.rsv3 = (first & 0x10) !== 0;
  frame.mask = isMasked;
  frame.opcode = first & 0x0f;
  frame.length = payload.length;
  frame.binaryPayload = payload;
  return frame;
}

/** A close frame that was received. */
function receivedClose(code, reason, isMasked) {
  const frame = received(0x88, isMasked, Buffer.from(reason, 'utf8'));
  if (code !== 1005) {
    frame.closeStatus = code;
    frame.length += 2;
  }
  return frame;
}

module.exports = { WebSocketFrame, firstByte, payloadOf, received, receivedClose };
