'use strict';

const { EventEmitter } = require('events');
const { STATUS_CODES } = require('http');

const { WebSocketConnection, agreedOn } = require('./connection');
const cookies = require('./cookies');
const failure = require('./errors');
const { deflateOptions, offeredExtensions } = require('./extensions');
const { native } = require('./hub');
const inherit = require('./inherit');
const parseLegacy = require('./legacy-url');
const { takeErrors } = require('./socket');
const { illegalIn, listOf, oneLine } = require('./tokens');

/** A client that asks for a connection: to be accepted or rejected, once. */
function WebSocketRequest(socket, httpRequest, serverConfig) {
  EventEmitter.call(this);
  this.socket = socket;
  this.httpRequest = httpRequest;
  this.resource = httpRequest.url;
  this.remoteAddress = socket.remoteAddress;
  this.remoteAddresses = [this.remoteAddress];
  this.serverConfig = serverConfig;

  /** Whether another server on the HTTP server has answered the handshake: `claim.js`. */
  this._claim = null;
  this._resolved = false;
  this._socketIsClosing = false;
  this._socketCloseHandler = () => {
    this._socketIsClosing = true;
    this._removeSocketCloseListeners();
  };
  socket.on('end', this._socketCloseHandler);
  socket.on('close', this._socketCloseHandler);
  // A client that resets while the program thinks about it is no reason to crash.
  takeErrors(socket);
}

inherit(
  WebSocketRequest,
  class {
    /** Reads the handshake. Throws for one that is none, with the status to answer it. */
    readHandshake() {
      const { headers } = this.httpRequest;
      checkRequest(this.httpRequest);
      this.resourceURL = parseLegacy(this.resource, true);

      this.host = headers.host;
      if (!this.host) throw bad('Client must provide a Host header.');

      this.key = headers['sec-websocket-key'];
      if (!this.key) throw bad('Client must provide a value for Sec-WebSocket-Key.');

      const version = headers['sec-websocket-version'];
      this.webSocketVersion = parseInt(version, 10);
      if (!this.webSocketVersion) {
        throw bad('Client must provide a value for Sec-WebSocket-Version.');
      }
      const isNumber = /^\d+$/.test(version);
      if (!isNumber || (this.webSocketVersion !== 8 && this.webSocketVersion !== 13)) {
        const error = bad(
          `Unsupported websocket client version: ${isNumber ? this.webSocketVersion : version}` +
            'Only versions 8 and 13 are supported.',
        );
        error.httpCode = 426;
        error.headers = { 'Sec-WebSocket-Version': '13' };
        throw error;
      }

      this._accept = native.acceptKey(this.key);
      if (this._accept === null) {
        throw bad('Sec-WebSocket-Key must be 16 bytes in base64.');
      }

      this.origin = headers[this.webSocketVersion === 8 ? 'sec-websocket-origin' : 'origin'];

      // A subprotocol may be called `__proto__`.
      this.protocolFullCaseMap = Object.create(null);
      this.requestedProtocols = listOf(headers['sec-websocket-protocol']).map((protocol) => {
        const lowerCase = protocol.toLowerCase();
        this.protocolFullCaseMap[lowerCase] = protocol;
        return lowerCase;
      });

      if (!this.serverConfig.ignoreXForwardedFor && headers['x-forwarded-for']) {
        this.remoteAddresses = [...headers['x-forwarded-for'].split(/,\s*/), this.socket.remoteAddress];
        this.remoteAddress = this.remoteAddresses[0];
      }

      this.requestedExtensions = this.serverConfig.parseExtensions
        ? this.parseExtensions(headers['sec-websocket-extensions'])
        : [];
      this.cookies = this.serverConfig.parseCookies ? this.parseCookies(headers.cookie) : [];
    }

    parseExtensions(value) {
      return offeredExtensions(value);
    }

    parseCookies(value) {
      return cookies.parse(value);
    }

    /**
     * Accepts the request. The protocol is one that was asked for, in any case, or null; the origin
     * goes back to the client; the cookies are set.
     */
    accept(acceptedProtocol, allowedOrigin, setCookies) {
      this._verifyResolution();
      if (this._claim?.isAccepted) throw gone();
      let head;
      try {
        head = this._responseHead(acceptedProtocol, allowedOrigin, setCookies);
      } catch (error) {
        this.reject(500);
        throw error;
      }
      this.protocolFullCaseMap = null;
      this.requestedProtocols = null;

      const isRefused = this._claim?.isRefused;
      if (!isRefused) this._claim?.accept();
      this._resolve();
      const { socket } = this;
      const protocol = acceptedProtocol ? acceptedProtocol.toLowerCase() : acceptedProtocol;
      const answer = this._answer;
      if (answer) agreedOn.set(socket, answer.negotiated);
      const extensions = offeredExtensions(answer?.header);
      const connection = new WebSocketConnection(socket, extensions, protocol, false, this.serverConfig);
      connection.webSocketVersion = this.webSocketVersion;
      connection.remoteAddress = this.remoteAddress;
      connection.remoteAddresses = this.remoteAddresses;

      this._removeSocketCloseListeners();
      if (this._socketIsClosing || isRefused) {
        giveUp(connection);
      } else {
        socket.write(head, 'latin1', (error) => {
          if (error) giveUp(connection);
          else connection._addSocketEventListeners();
        });
      }
      this.emit('requestAccepted', connection);
      return connection;
    }

    _responseHead(acceptedProtocol, allowedOrigin, setCookies) {
      const lines = [
        'HTTP/1.1 101 Switching Protocols',
        'Upgrade: websocket',
        'Connection: Upgrade',
        `Sec-WebSocket-Accept: ${this._accept}`,
      ];
      if (acceptedProtocol) {
        lines.push(`Sec-WebSocket-Protocol: ${this._requestedSpelling(acceptedProtocol)}`);
      }
      this._answer = this._answerExtensions();
      if (this._answer) lines.push(`Sec-WebSocket-Extensions: ${this._answer.header}`);
      if (allowedOrigin) {
        const name = this.webSocketVersion === 8 ? 'Sec-WebSocket-Origin' : 'Origin';
        lines.push(`${name}: ${oneLine(allowedOrigin)}`);
      }
      if (setCookies) {
        lines.push(...cookies.format(setCookies).map((cookie) => `Set-Cookie: ${cookie}`));
      }
      return `${lines.join('\r\n')}\r\n\r\n`;
    }

    /** What of the client's extensions is used: the header, and what it means to the core. */
    _answerExtensions() {
      const offered = this.httpRequest.headers['sec-websocket-extensions'];
      const options = deflateOptions(this.serverConfig, true);
      return offered && options ? native.answer(offered, options) : null;
    }

    /** The protocol as the client wrote it. */
    _requestedSpelling(protocol) {
      const illegal = illegalIn(protocol);
      if (illegal !== undefined) {
        throw badOption(`Illegal character "${illegal}" in subprotocol.`);
      }
      const lowerCase = protocol.toLowerCase();
      if (!this.requestedProtocols.includes(lowerCase)) {
        throw badOption('Specified protocol was not requested by the client.');
      }
      return this.protocolFullCaseMap[lowerCase];
    }

    /** Rejects the request: 403 without a word of the program. */
    reject(status, reason, extraHeaders) {
      this._verifyResolution();
      this._resolve();

      const code = typeof status === 'number' ? status : 403;
      const lines = [`HTTP/1.1 ${code} ${STATUS_CODES[code] ?? 'Unknown'}`, 'Connection: close'];
      if (reason) lines.push(`X-WebSocket-Reject-Reason: ${oneLine(reason)}`);
      for (const name in extraHeaders) {
        lines.push(`${oneLine(name)}: ${oneLine(extraHeaders[name])}`);
      }
      const { socket } = this;
      this._removeSocketCloseListeners();
      const refuse = () => {
        socket.end(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
        // A client that keeps its side open is not waited for.
        socket.setTimeout?.(this.serverConfig?.closeTimeout ?? 5000, () => socket.destroy());
      };
      if (this._claim === null) refuse();
      else this._claim.reject(code, refuse);

      this.emit('requestRejected', this);
    }

    _verifyResolution() {
      if (this._resolved) throw gone();
    }

    _resolve() {
      this._resolved = true;
      this.emit('requestResolved', this);
    }

    _removeSocketCloseListeners() {
      this.socket.removeListener('end', this._socketCloseHandler);
      this.socket.removeListener('close', this._socketCloseHandler);
    }
  },
);

/** A connection whose socket is gone already: the program has it in hand, and is told next. */
function giveUp(connection) {
  process.nextTick(() => {
    connection.drop(1006, 'TCP connection lost before handshake completed.', true);
  });
}

/** RFC 6455, 4.2.1: a GET request of HTTP/1.1 or later, without a body. */
function checkRequest({ headers, httpVersionMajor, httpVersionMinor, method }) {
  // A request that a program has made by hand may lack what it does not care for.
  if (method !== undefined && method !== 'GET') {
    const error = bad(`A WebSocket is opened with GET, not with ${method}.`);
    error.httpCode = 405;
    error.headers = { Allow: 'GET' };
    throw error;
  }
  if (httpVersionMajor < 1 || (httpVersionMajor === 1 && httpVersionMinor < 1)) {
    throw bad(`A WebSocket takes HTTP/1.1, not ${httpVersionMajor}.${httpVersionMinor}.`);
  }
  if (Number(headers['content-length'] ?? 0) !== 0 || headers['transfer-encoding'] !== undefined) {
    throw bad('The request that opens a WebSocket must not have a body.');
  }
}

function gone() {
  return failure('ERR_REQUEST_GONE', 'WebSocketRequest may only be accepted or rejected one time.');
}

function bad(message) {
  return failure('ERR_HANDSHAKE', message);
}

function badOption(message) {
  return failure('ERR_INVALID_HANDSHAKE_OPTION', message);
}

module.exports = WebSocketRequest;
