'use strict';

const { AsyncResource } = require('async_hooks');
const { EventEmitter } = require('events');

const chunks = require('./chunks');
const { DESCRIPTIONS, REASONS } = require('./close-codes');
const Closing = require('./closing');
const direct = require('./direct');
const hub = require('./hub');
const inherit = require('./inherit');
const { checkKeepalive, optionsOf } = require('./options');
const output = require('./output');
const Receiving = require('./receiving');
const Sending = require('./sending');
const sockets = require('./socket');
const State = require('./state');

/** The compression that handshakes have negotiated, by their sockets. */
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
  // For programs that read them. Changes have no effect.
  this.closeTimeout = config.closeTimeout;
  this.assembleFragments = config.assembleFragments;
  this.maxReceivedMessageSize = config.maxReceivedMessageSize;

  /** The server, which is told of the end before the program is. */
  this._owner = null;
  /** The number in the hub; negative once the hub has released it. */
  this._id = hub.open(this, !maskOutgoingPackets, optionsOf(config), agreedOn.get(socket));
  agreedOn.delete(socket);
  /** The asynchronous context of events that a timer causes. */
  this._context = new AsyncResource('TowlineConnection');
  this._isPlain = output.isPlain(socket);
  this._isDirect = direct.isDirect(socket);
  /** Whether chunks may be ours alone, whether the next is not, and how many bytes there were: `chunks.js`. */
  this._mayOwn = !maskOutgoingPackets && chunks.mayOwn(socket);
  this._isShared = true;
  this._bytesSeen = 0;
  /** How much of a long message was read without Node, and in which turn of the loop: `run.js`. */
  this._turn = -1;
  this._readInTurn = 0;
  /** Whether messages are staged, their bytes, and the event whose handler sent last. */
  this._isDirty = false;
  this._stagedLen = 0;
  this._sentIn = 0;
  this._callbacks = null;
  this._isFull = false;
  /** Whether input is ignored: after the peer's close frame, or its fault. */
  this._isDeaf = false;
  /** Whether the close frame of the peer has arrived. */
  this._hasClosed = false;
  /** Whether the peer has ended its side of the socket, and ours ends after the last event. */
  this._hasEnded = false;
  /** How events are emitted: `run.js`. */
  this._isSynchronous = Boolean(config.allowSynchronousEvents);
  this._isQuick = false;
  this._run = null;
  this._backlog = null;
  /** Messages without a listener, and the loops that take them: `inbox.js`. */
  this._inbox = null;
  this._closed = null;

  sockets.prepare(socket, config);
}

inherit(WebSocketConnection, Sending, Receiving, Closing);

Object.assign(WebSocketConnection, REASONS, { CLOSE_DESCRIPTIONS: DESCRIPTIONS });

module.exports = { WebSocketConnection, agreedOn };
