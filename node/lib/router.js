'use strict';

const { EventEmitter } = require('events');

const failure = require('./errors');
const inherit = require('./inherit');

/** Stands for the protocol of clients that ask for none. */
const NO_PROTOCOL = '____no_protocol____';

function invalid(message) {
  return failure('ERR_INVALID_ARG_VALUE', message);
}

/** Hands the requests of a server to handlers, by path and protocol. */
function WebSocketRouter(config) {
  EventEmitter.call(this);
  this.config = { server: null, ...config };
  this.handlers = [];
  this._requestHandler = this.handleRequest.bind(this);
  if (this.config.server) this.attachServer(this.config.server);
}

inherit(
  WebSocketRouter,
  class {
    attachServer(server) {
      if (!server) throw invalid('You must specify a WebSocketServer instance to attach to.');
      this.server = server;
      server.on('request', this._requestHandler);
    }

    detachServer() {
      if (!this.server) throw invalid('Cannot detach from server: not attached.');
      this.server.removeListener('request', this._requestHandler);
      this.server = null;
    }

    /** Has requests for this path (a string, `*`, a RegExp) and protocol (or `*`) handled. */
    mount(path, protocol, callback) {
      if (!path) throw invalid('You must specify a path for this handler.');
      if (!callback) throw invalid('You must specify a callback for this handler.');
      const pattern = this.pathToRegExp(path);
      if (!(pattern instanceof RegExp)) {
        throw invalid('Path must be specified as either a string or a RegExp.');
      }
      const pathString = pattern.toString();
      const name = (protocol || NO_PROTOCOL).toLowerCase();
      if (this.findHandlerIndex(pathString, name) >= 0) {
        throw invalid('You may only mount one handler per path/protocol combination.');
      }
      this.handlers.push({ path: pattern, pathString, protocol: name, callback });
    }

    unmount(path, protocol) {
      const pathString = this.pathToRegExp(path).toString();
      const index = this.findHandlerIndex(pathString, protocol || NO_PROTOCOL);
      if (index < 0) {
        throw invalid('Unable to find a route matching the specified path and protocol.');
      }
      this.handlers.splice(index, 1);
    }

    findHandlerIndex(pathString, protocol) {
      const name = protocol.toLowerCase();
      return this.handlers.findIndex(
        (handler) => handler.pathString === pathString && handler.protocol === name,
      );
    }

    pathToRegExp(path) {
      if (typeof path !== 'string') return path;
      if (path === '*') return /^.*$/;
      return new RegExp(`^${path.replace(/[-[\]{}()*+?.,\\^$|#\s]/g, '\\$&')}$`);
    }

    /** The first protocol asked for that has a handler wins. */
    handleRequest(request) {
      const { requestedProtocols, resourceURL } = request;
      const protocols = requestedProtocols.length > 0 ? requestedProtocols : [NO_PROTOCOL];
      for (const protocol of protocols) {
        const handler = this.handlers.find(
          (handler) =>
            handler.path.test(resourceURL.pathname) &&
            (handler.protocol === protocol || handler.protocol === '*'),
        );
        if (handler !== undefined) {
          handler.callback(new WebSocketRouterRequest(request, protocol));
          return;
        }
      }
      request.reject(404, 'No handler is available for the given request.');
    }
  },
);

/** A request whose protocol the router has settled. */
function WebSocketRouterRequest(webSocketRequest, resolvedProtocol) {
  EventEmitter.call(this);
  this.webSocketRequest = webSocketRequest;
  this.protocol = resolvedProtocol === NO_PROTOCOL ? null : resolvedProtocol;
  this.origin = webSocketRequest.origin;
  this.resource = webSocketRequest.resource;
  this.resourceURL = webSocketRequest.resourceURL;
  this.httpRequest = webSocketRequest.httpRequest;
  this.remoteAddress = webSocketRequest.remoteAddress;
  this.webSocketVersion = webSocketRequest.webSocketVersion;
  this.requestedExtensions = webSocketRequest.requestedExtensions;
  this.cookies = webSocketRequest.cookies;
}

inherit(
  WebSocketRouterRequest,
  class {
    accept(origin, cookies) {
      const connection = this.webSocketRequest.accept(this.protocol, origin, cookies);
      this.emit('requestAccepted', connection);
      return connection;
    }

    reject(status, reason, extraHeaders) {
      this.webSocketRequest.reject(status, reason, extraHeaders);
      this.emit('requestRejected', this);
    }
  },
);

module.exports = WebSocketRouter;
module.exports.WebSocketRouterRequest = WebSocketRouterRequest;
