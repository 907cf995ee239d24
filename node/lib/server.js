'use strict';

const { EventEmitter } = require('events');

const { claimOf, join, leave } = require('./claim');
const failure = require('./errors');
const inherit = require('./inherit');
const { giveBack, isOurs, keepPages, ourListeners } = require('./plain');
const WebSocketRequest = require('./request');

const DEFAULTS = {
  httpServer: null,
  maxReceivedFrameSize: 0x10000,
  maxReceivedMessageSize: 0x100000,
  maxReceivedFragments: 0x10000,
  fragmentOutgoingMessages: true,
  fragmentationThreshold: 0x4000,
  keepalive: true,
  keepaliveInterval: 20000,
  dropConnectionOnKeepaliveTimeout: true,
  keepaliveGracePeriod: 10000,
  useNativeKeepalive: false,
  assembleFragments: true,
  allowSynchronousEvents: false,
  perMessageDeflate: false,
  autoAcceptConnections: false,
  ignoreXForwardedFor: false,
  parseCookies: true,
  parseExtensions: true,
  disableNagleAlgorithm: true,
  closeTimeout: 5000,
};

/** Takes the upgrades of one or more HTTP servers. */
function WebSocketServer(config) {
  EventEmitter.call(this);
  this._handlers = {
    upgrade: this.handleUpgrade.bind(this),
    requestAccepted: this.handleRequestAccepted.bind(this),
    requestResolved: this.handleRequestResolved.bind(this),
  };
  ourListeners.add(this._handlers.upgrade);
  this.connections = [];
  this.pendingRequests = [];
  if (config) this.mount(config);
}

inherit(
  WebSocketServer,
  class {
    mount(config) {
      this.config = { ...DEFAULTS, ...config };
      if (!this.config.httpServer) {
        throw failure(
          'ERR_INVALID_ARG_VALUE',
          'You must specify an httpServer on which to mount the WebSocket server.',
        );
      }
      if (!Array.isArray(this.config.httpServer)) this.config.httpServer = [this.config.httpServer];
      for (const httpServer of this.config.httpServer) {
        httpServer.on('upgrade', this._handlers.upgrade);
        join(httpServer, this);
        keepPages(httpServer);
      }
    }

    unmount() {
      for (const httpServer of this.config.httpServer) {
        httpServer.removeListener('upgrade', this._handlers.upgrade);
        leave(httpServer, this);
      }
    }

    closeAllConnections() {
      for (const connection of [...this.connections]) connection.close();
      for (const request of this.pendingRequests) {
        process.nextTick(() => {
          if (!request._resolved) request.reject(503);
        });
      }
    }

    shutDown() {
      this.unmount();
      this.closeAllConnections();
    }

    broadcast(data) {
      if (Buffer.isBuffer(data)) this.broadcastBytes(data);
      else if (typeof data.toString === 'function') this.broadcastUTF(data);
    }

    broadcastUTF(data) {
      for (const connection of [...this.connections]) connection.sendUTF(data);
    }

    broadcastBytes(data) {
      for (const connection of [...this.connections]) connection.sendBytes(data);
    }

    handleUpgrade(httpRequest, socket, head) {
      if (!isOurs(httpRequest)) {
        giveBack(httpRequest, socket, head);
        return;
      }
      const claim = claimOf(httpRequest, socket);
      const { autoAcceptConnections } = this.config;
      const isHeard = !autoAcceptConnections && this.listenerCount('request') > 0;
      // The program is told of a request that another server has accepted, too, and may reject it.
      if (claim.isAccepted && !isHeard) return;
      // What a client sends right behind its handshake is read in its turn.
      if (claim.isFirst() && head !== undefined && head.length > 0) socket.unshift(head);

      const request = new WebSocketRequest(socket, httpRequest, this.config);
      request._claim = claim;
      try {
        request.readHandshake();
      } catch (error) {
        request.reject(error.httpCode ?? 400, error.message, error.headers);
        this.emit('upgradeError', error);
        return;
      }

      this.pendingRequests.push(request);
      request.once('requestAccepted', this._handlers.requestAccepted);
      request.once('requestResolved', this._handlers.requestResolved);
      request._forget = () => this.handleRequestResolved(request);
      socket.once('close', request._forget);

      if (autoAcceptConnections) {
        request.accept(request.requestedProtocols[0], request.origin);
      } else if (isHeard) {
        this.emit('request', request);
      } else {
        request.reject(404, 'No handler is configured to accept the connection.');
      }
    }

    handleRequestAccepted(connection) {
      connection._owner = this;
      this.connections.push(connection);
      this.emit('connect', connection);
    }

    handleRequestResolved(request) {
      // An idle connection is not to hold its request.
      request.socket.removeListener('close', request._forget);
      remove(this.pendingRequests, request);
    }

    handleConnectionClose(connection, closeReason, description) {
      remove(this.connections, connection);
      this.emit('close', connection, closeReason, description);
    }
  },
);

function remove(array, item) {
  const index = array.indexOf(item);
  if (index >= 0) array.splice(index, 1);
}

module.exports = WebSocketServer;
