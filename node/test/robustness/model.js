'use strict';
// What a receiver has to make of a stream of bytes, written down as simply as it can be.
const { isUtf8 } = require('node:buffer');
const { parse } = require('../support/wire.js');

const CONTROL = ['close', 'ping', 'pong'];
const VALID_CLOSES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];

class Fault extends Error {
  constructor(code) {
    super(`close with ${code}`);
    this.code = code;
  }
}

const refuse = (code, unless) => {
  if (!unless) throw new Fault(code);
};

/** What the header alone says against a frame, though its payload may not be there yet. */
function checkHeader(bytes, { masked, frameLimit, open }) {
  if (bytes.length < 2) return;
  const opcode = bytes[0] & 0x0f;
  refuse(1002, (bytes[0] & 0x70) === 0);
  refuse(1002, [0, 1, 2, 8, 9, 10].includes(opcode));
  refuse(1002, Boolean(bytes[1] & 0x80) === masked);
  if (opcode >= 8) refuse(1002, bytes[0] & 0x80 && (bytes[1] & 0x7f) <= 125);
  else refuse(1002, (opcode === 0) === open);
  const size = bytes[1] & 0x7f;
  if (size === 126 && bytes.length >= 4) checkLength(bytes.readUInt16BE(2), 126, frameLimit);
  else if (size === 127 && bytes.length >= 10) {
    refuse(1002, bytes[2] < 0x80);
    checkLength(bytes.readBigUInt64BE(2), 65536, frameLimit);
  } else if (size < 126) checkLength(size, 0, frameLimit);
}

/** Whether the header is there, so that nobody may still wait for its rest. */
function hasHeader(bytes) {
  if (bytes.length < 2) return false;
  const size = bytes[1] & 0x7f;
  const mask = bytes[1] & 0x80 ? 4 : 0;
  return bytes.length >= 2 + (size === 127 ? 8 : size === 126 ? 2 : 0) + mask;
}

/** RFC 6455, 5.2: "the minimal number of bytes MUST be used to encode the length". */
function checkLength(size, least, limit) {
  refuse(1002, size >= least);
  refuse(1009, size <= limit);
}

function checkClose(payload) {
  refuse(1002, payload.length !== 1);
  if (payload.length < 2) return 1005;
  const code = payload.readUInt16BE();
  refuse(1002, VALID_CLOSES.includes(code) || (code >= 3000 && code <= 4999));
  refuse(1007, isUtf8(payload.subarray(2)));
  return code;
}

function checkText(decoder, payload, last) {
  try {
    decoder.decode(payload, { stream: !last });
  } catch {
    throw new Fault(1007);
  }
}

/**
 * The messages and pings in `bytes`, and how it ends: `closed` with the peer's code, a `fault` with
 * ours, `byClose` if it is in a close frame, or `open`; `partial` if the end is within a frame.
 */
function expected(bytes, { masked, frameLimit, messageLimit }) {
  const messages = [];
  const pings = [];
  let begun = null;
  let rest = bytes;
  let byClose = false;
  let atHeader;
  try {
    for (;;) {
      atHeader = true;
      checkHeader(rest, { masked, frameLimit, open: begun !== null });
      const frame = parse(rest);
      if (!frame) return { messages, pings, end: 'open', partial: rest.length > 0 };
      const { opcode, fin, payload, total } = frame;
      rest = rest.subarray(total);
      atHeader = false;
      byClose = opcode === 'close';
      if (byClose) return { messages, pings, end: 'closed', code: checkClose(payload) };
      if (opcode === 'ping') pings.push(payload.toString('hex'));
      if (CONTROL.includes(opcode)) continue;
      begun ??= { opcode, parts: [], size: 0, decoder: new TextDecoder('utf-8', { fatal: true }) };
      begun.parts.push(payload);
      begun.size += payload.length;
      refuse(1009, begun.size <= messageLimit);
      if (begun.opcode === 'text') checkText(begun.decoder, payload, fin);
      if (!fin) continue;
      messages.push([begun.opcode, Buffer.concat(begun.parts).toString('hex')]);
      begun = null;
    }
  } catch (fault) {
    if (!(fault instanceof Fault)) throw fault;
    if (atHeader && !hasHeader(rest)) return { messages, pings, end: 'open', partial: true };
    return { messages, pings, end: 'fault', code: fault.code, byClose };
  }
}

module.exports = { expected };
