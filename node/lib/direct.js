'use strict';

// Writes to the kernel without Node's stream between: that costs several times what the kernel takes for a
// short message. Reads the rest of a long message in the same way: Node would allocate memory for each part of
// it. The addon writes to the descriptor of the socket, and what the kernel does not take goes to
// the stream as ever. So this is done only where a program can't tell the difference: the socket is one of
// Node's own, as it was made, and idle; and nobody waits for a callback. What Node keeps account of, it is
// told: bytes, `drain`, errors.

const net = require('net');
const os = require('os');
const util = require('util');
const { Writable } = require('stream');

const { isUntouched } = require('./chunks');

const { _write, _writeGeneric, _writev, write } = net.Socket.prototype;

/** How Node counts what it has written, for `socket.bytesWritten`. */
const { get: dispatched } = Object.getOwnPropertyDescriptor(net.Socket.prototype, '_bytesDispatched') ?? {};
const { get: bytesRead } = Object.getOwnPropertyDescriptor(net.Socket.prototype, 'bytesRead') ?? {};

/** Bun and Deno have other sockets, and other systems have other rules. */
const isPossible =
  process.platform === 'linux' && !process.versions.bun && !process.versions.deno && isAsKnown();

/** Whether this Node's sockets keep account as those that this was written for. */
function isAsKnown() {
  if (dispatched === undefined || bytesRead === undefined) return false;
  const socket = new net.Socket();
  Object.defineProperty(socket, '_bytesDispatched', { value: 7 });
  const state = socket._writableState;
  return socket.bytesWritten === 7 && state.needDrain === false;
}

/** Methods of ours that sockets may have in place of `write`. */
const ours = new Set([write]);

/** Node's classes for sockets: not those for TLS, files and terminals. */
const NAMES = new Set(['TCP', 'Pipe']);
const known = new Set();

function isKnown({ constructor }) {
  if (known.has(constructor)) return true;
  const isNative = /\[native code\]/.test(Function.prototype.toString.call(constructor));
  if (!isNative || !NAMES.has(constructor.name)) return false;
  known.add(constructor);
  return true;
}

/** Whether a socket may ever be written to in this way. */
function isDirect(socket) {
  return isPossible && Object.getPrototypeOf(socket) === net.Socket.prototype;
}

/** Whether it is one of Node's, with a descriptor, and its timeout is off, which each use of it would put off. */
function isPlain({ _handle: handle, timeout }) {
  return Boolean(handle) && isKnown(handle) && !timeout;
}

/** The descriptor to write to now; negative if Node has to write. It is good until Node's next turn. */
function descriptorOf(socket) {
  if (!isPlain(socket)) return -1;
  const { _handle: handle } = socket;
  const isIdle =
    socket.writable &&
    !socket.connecting &&
    socket.writableLength === 0 &&
    socket.writableCorked === 0 &&
    handle.writeQueueSize === 0;
  const isOriginal =
    ours.has(socket.write) &&
    socket._write === _write &&
    socket._writev === _writev &&
    socket._writeGeneric === _writeGeneric;
  return isIdle && isOriginal ? handle.fd : -1;
}

/** The descriptor to read from now, behind what Node has handed out. */
function descriptorToRead(socket) {
  if (!isPlain(socket) || socket.destroyed) return -1;
  const { _handle: handle } = socket;
  const isFlowing =
    handle.reading === true &&
    socket.readableFlowing === true &&
    socket.readableLength === 0 &&
    // Nobody else is to have what is read.
    socket.listenerCount('data') === 1;
  return isFlowing && isUntouched(socket) ? handle.fd : -1;
}

// ---- what Node keeps account of

/** Where a socket has how many bytes of it were written here, and read. */
const kPassed = Symbol('passed');
const kRead = Symbol('read');

const counted = {
  configurable: true,
  get() {
    return dispatched.call(this) + this[kPassed];
  },
};

/** Counts bytes that were written. */
function count(socket, bytes) {
  if (socket[kPassed] === undefined) {
    socket[kPassed] = 0;
    Object.defineProperty(socket, '_bytesDispatched', counted);
  }
  socket[kPassed] += bytes;
}

const readHere = {
  configurable: true,
  get() {
    return bytesRead.call(this) + this[kRead];
  },
};

/** Counts bytes that were read. */
function countRead(socket, bytes) {
  if (socket[kRead] === undefined) {
    socket[kRead] = 0;
    Object.defineProperty(socket, 'bytesRead', readHere);
  }
  socket[kRead] += bytes;
}

/** What `write` of a stream returns for what has been written when it returns: few bytes, and many. */
const probe = new Writable({ highWaterMark: 2, write: (chunk, encoding, callback) => callback() });
const TAKES_MORE = { few: probe.write('a'), many: probe.write('abc') };

/**
 * Sees to it that a stream drains, as `write` does, after it was given so many bytes; returns whether it takes
 * more.
 */
function settle(socket, bytes) {
  const isMany = bytes >= socket.writableHighWaterMark;
  const isWritten = socket.writableLength === 0;
  if (isWritten ? TAKES_MORE[isMany ? 'many' : 'few'] : !isMany) return true;
  const state = socket._writableState;
  if (!state.needDrain) {
    state.needDrain = true;
    // What Node has to write, it drains.
    if (isWritten) process.nextTick(drain, socket);
  }
  return false;
}

function drain(socket) {
  const state = socket._writableState;
  if (!state.needDrain || socket.writableLength > 0 || socket.writableEnded || socket.destroyed) return;
  state.needDrain = false;
  socket.emit('drain');
}

// ---- errors

/** What the addon returns if it is negative: bytes, and a number of the system's. */
const ERRNOS = 4096;

function left(outcome) {
  const errno = -outcome % ERRNOS;
  return { bytes: (-outcome - errno) / ERRNOS, errno };
}

const numbers = (...names) => new Set(names.map((name) => os.constants.errno[name]));

/** Errors of what is no socket. */
const FOREIGN = numbers('EBADF', 'EINVAL', 'ENOTSOCK', 'EOPNOTSUPP');
/** Errors that the next write has as well. All others are of the connection, and reported once. */
const REPEATED = numbers('EAGAIN', 'EINTR', 'ENOBUFS', 'ENOMEM', 'EPIPE');

/** Calls `writes`, which writes to the socket. If the kernel has reported an error, Node gets it there. */
function report(socket, errno, writes) {
  if (REPEATED.has(errno) || FOREIGN.has(errno)) {
    writes();
    return;
  }
  const { _handle: handle } = socket;
  handle.writeBuffer = (request, bytes) => {
    // As Node's does, which counts an attempt.
    count(socket, bytes.length);
    return -errno;
  };
  try {
    writes();
  } finally {
    delete handle.writeBuffer;
  }
}

/** Ends a socket as Node does after an error of the kernel's. */
function fail(socket, errno) {
  const code = util.getSystemErrorName(-errno);
  const error = new Error(`read ${code}`);
  socket.destroy(Object.assign(error, { errno: -errno, code, syscall: 'read' }));
}

module.exports = {
  FOREIGN,
  count,
  countRead,
  descriptorOf,
  descriptorToRead,
  fail,
  isDirect,
  left,
  ours,
  report,
  settle,
};
