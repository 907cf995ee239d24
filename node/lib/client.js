'use strict';

const { EventEmitter } = require('events');
const http = require('http');
const https = require('https');

const { WebSocketConnection, agreedOn } = require('./connection');
const failure = require('./errors');
const { deflateOptions, offeredExtensions } = require('./extensions');
const { native } = require('./hub');
const inherit = require('./inherit');
const parseLegacy = require('./legacy-url');
const { receiveLater } = require('./run');
const { illegalIn, listOf } = require('./tokens');

const DEFAULTS = {
  maxReceivedFrameSize: 0x100000,
  maxReceivedMessageSize: 0x800000,
  maxReceivedFragments: 0x10000,
  fragmentOutgoingMessages: true,
  fragmentationThreshold: 0x4000,
  webSocketVersion: 13,
  assembleFragments: true,
  allowSynchronousEvents: false,
  perMessageDeflate: false,
  disableNagleAlgorithm: true,
  closeTimeout: 5000,
};

const DEFAULT_PORTS = { 'ws:': '80', 'wss:': '443' };

/** Headers of the handshake, as they are written. */
const OURS = new Map(
  [
    'Host',
    'Origin',
    'Upgrade',
    'Connection',
    'Sec-WebSocket-Version',
    'Sec-WebSocket-Key',
    'Sec-WebSocket-Protocol',
  ].map((name) => [name.toLowerCase(), name]),
);

/** What of `tlsOptions` is not for TLS. */
const NOT_TLS = new Set(['hostname', 'port', 'method', 'path', 'headers']);

/** Opens connections. One at a time: each has its own client. */
function WebSocketClient(config) {
  EventEmitter.call(this);
  this.config = { ...DEFAULTS, ...config, tlsOptions: { ...config?.tlsOptions } };
  if (config?.webSocketVersion === undefined && config?.websocketVersion !== undefined) {
    this.config.webSocketVersion = config.websocketVersion;
  }
  this._req = null;
  if (this.config.webSocketVersion !== 8 && this.config.webSocketVersion !== 13) {
    throw failure(
      'ERR_INVALID_HANDSHAKE_OPTION',
      'Requested webSocketVersion is not supported. Allowed values are 8 and 13.',
    );
  }
}

inherit(
  WebSocketClient,
  class {
    connect(requestUrl, protocols, origin, headers, extraRequestOptions) {
      this.protocols = listOfProtocols(protocols);
      this.origin = origin;
      this.protocol = undefined;
      this._ownProtocols = [];
      this.url = parseUrl(requestUrl);
      this.secure = this.url.protocol === 'wss:';
      if (!this.url.port) this.url.port = DEFAULT_PORTS[this.url.protocol];
      this.base64nonce = native.generateKey();

      const options = {
        // An agent would connect by itself.
        agent: typeof extraRequestOptions?.createConnection === 'function' ? undefined : false,
        ...extraRequestOptions,
        hostname: this.url.hostname,
        port: this.url.port,
        method: 'GET',
        path: pathOf(this.url),
        headers: this._requestHeaders(headers),
      };
      const credentials = credentialsOf(this.url);
      if (credentials !== undefined) options.auth = credentials;
      if (this.secure) {
        for (const [key, value] of Object.entries(this.config.tlsOptions)) {
          if (!NOT_TLS.has(key)) options[key] = value;
        }
      }
      this._request((this.secure ? https : http).request(options));
    }

    _requestHeaders(headers) {
      const { config, url: target } = this;
      const all = {};
      const names = new Map();
      const own = this.secure ? config.tlsOptions.headers : undefined;
      for (const [name, value] of Object.entries({ ...own, ...headers })) {
        // One header, in whatever letters it is given.
        const lowerCase = name.toLowerCase();
        if (names.has(lowerCase)) delete all[names.get(lowerCase)];
        if (lowerCase === 'sec-websocket-protocol') this._ownProtocols = listOf(String(value));
        const as = OURS.get(lowerCase) ?? name;
        names.set(lowerCase, as);
        all[as] = value;
      }
      const isDefault = target.port === DEFAULT_PORTS[target.protocol];
      const hostname = target.hostname.includes(':') ? `[${target.hostname}]` : target.hostname;
      Object.assign(all, {
        Upgrade: 'websocket',
        Connection: 'Upgrade',
        'Sec-WebSocket-Version': String(config.webSocketVersion),
        'Sec-WebSocket-Key': this.base64nonce,
        Host: all.Host || (isDefault ? hostname : `${hostname}:${target.port}`),
      });
      if (this.protocols.length > 0) all['Sec-WebSocket-Protocol'] = this.protocols.join(', ');
      const wanted = deflateOptions(config, false);
      this._offer = wanted && native.offer(wanted);
      this._compression = undefined;
      if (this._offer) all['Sec-WebSocket-Extensions'] = this._offer.header;
      if (this.origin) {
        all[config.webSocketVersion === 8 ? 'Sec-WebSocket-Origin' : 'Origin'] = this.origin;
      }
      for (const [name, value] of Object.entries(all)) checkHeader(name, value);
      return all;
    }

    _request(request) {
      this._req = request;
      const onError = (error) => {
        this._req = null;
        this.emit('connectFailed', error);
      };
      request.on('error', onError);
      request.on('upgrade', (response, socket, head) => {
        this._req = null;
        request.removeListener('error', onError);
        // Whatever becomes of the request has nothing to do with the connection.
        request.on('error', () => {});
        this.socket = socket;
        this.response = response;
        this.firstDataChunk = head;
        this.validateHandshake();
      });
      request.on('response', (response) => {
        this._req = null;
        request.removeListener('error', onError);
        request.on('error', () => {});
        this._handleResponse(response);
      });
      request.end();
    }

    /** The server speaks HTTP, and no WebSocket. */
    _handleResponse(response) {
      if (this.listenerCount('httpResponse') > 0) {
        this.emit('httpResponse', response, this);
        response.socket?.end();
        // A body that nobody reads would hold the socket.
        const forget = () => {
          if (response.readableFlowing === null) response.destroy();
        };
        setTimeout(forget, this.config.closeTimeout).unref();
        return;
      }
      const headers = Object.entries(response.headers).map(([name, value]) => `${name}: ${value}`);
      const error = failure(
        'ERR_HTTP_RESPONSE',
        `Server responded with a non-101 status: ${response.statusCode} ${response.statusMessage}` +
          `\nResponse Headers Follow:\n${headers.join('\n')}\n`,
      );
      error.statusCode = response.statusCode;
      error.headers = response.headers;
      response.destroy();
      this.emit('connectFailed', error);
    }

    validateHandshake() {
      const wrong = this._whatIsWrong(this.response.headers);
      if (wrong === undefined) this.succeedHandshake();
      else this.failHandshake(wrong);
    }

    _whatIsWrong(headers) {
      const protocol = headers['sec-websocket-protocol'];
      if (this.protocols.length > 0 && !protocol) {
        return 'Expected a Sec-WebSocket-Protocol header.';
      }
      const isAsked = this.protocols.includes(protocol) || this._ownProtocols.includes(protocol);
      if (protocol && !isAsked) {
        return 'Server did not respond with a requested protocol.';
      }
      this.protocol = protocol;

      const has = (name, token) => listOf(headers[name]).some((item) => item.toLowerCase() === token);
      if (!has('connection', 'upgrade')) {
        return 'Expected a Connection: Upgrade header from the server';
      }
      if (!has('upgrade', 'websocket')) {
        return 'Expected an Upgrade: websocket header from the server';
      }
      const accept = headers['sec-websocket-accept'];
      if (!accept) return 'Expected Sec-WebSocket-Accept header from server';
      const expected = native.acceptKey(this.base64nonce);
      if (accept !== expected) {
        return "Sec-WebSocket-Accept header from server didn't match expected value of " + expected;
      }
      return this._agree(headers['sec-websocket-extensions']);
    }

    /** Settles the extensions; returns what is wrong with the server's answer, if anything is. */
    _agree(answered) {
      if (!answered) return undefined;
      if (!this._offer) return 'Server responded with an extension that was not requested.';
      try {
        this._compression = native.agree(this._offer.compression, answered);
        return undefined;
      } catch ({ message }) {
        return message;
      }
    }

    failHandshake(errorDescription) {
      if (this.socket?.writable) this.socket.end();
      this.emit('connectFailed', failure('ERR_HANDSHAKE', errorDescription));
    }

    succeedHandshake() {
      const { config, firstDataChunk, protocol, socket } = this;
      const extensions = offeredExtensions(this.response.headers['sec-websocket-extensions']);
      if (this._compression) agreedOn.set(socket, this._compression);
      const connection = new WebSocketConnection(socket, extensions, protocol, true, config);
      connection.webSocketVersion = config.webSocketVersion;
      connection._addSocketEventListeners();
      this.firstDataChunk = null;
      this.emit('connect', connection);
      if (firstDataChunk.length > 0) receiveLater(connection, firstDataChunk);
    }

    /** Gives up connecting; `connectFailed` tells. Without effect on an open connection. */
    abort() {
      if (this._req) this._req.destroy();
    }
  },
);

function listOfProtocols(protocols) {
  let list = [];
  if (typeof protocols === 'string') list = protocols === '' ? [] : [protocols];
  else if (Array.isArray(protocols)) list = protocols;
  for (const protocol of list) {
    const illegal = illegalIn(protocol);
    if (illegal !== undefined) {
      throw failure('ERR_INVALID_HANDSHAKE_OPTION', `Protocol list contains invalid character "${illegal}"`);
    }
  }
  return list;
}

/** Servers refuse such origins and hosts, which Node would send in Latin-1. */
function checkHeader(name, value) {
  const isOrigin = /^(?:sec-websocket-)?origin$/i.test(name);
  if (!isOrigin && !/^host$/i.test(name)) return;
  const text = String(value);
  // Programs pass objects as the origin, and `websocket` sends their text, which has spaces.
  const form = isOrigin ? /^[ -~]*$/ : /^(?=[!-~]+$)(?:\[[\da-f:.]+\]|[^/?#@\\[\]:]+)(?::\d*)?$/i;
  if (form.test(text)) return;
  const why = isOrigin
    ? 'has a character outside ASCII: write its host as browsers do, such as http://xn--9ca'
    : 'is not a host and a port';
  throw failure(
    'ERR_INVALID_HANDSHAKE_OPTION',
    `The header ${name} is ${JSON.stringify(text)}, which ${why}.`,
  );
}

function parseUrl(requestUrl) {
  // Programs pass strings, and what `url.parse` made of one.
  const isParsed = typeof requestUrl === 'object' && !(requestUrl instanceof URL);
  const parsed = isParsed ? requestUrl : parseLegacy(String(requestUrl));
  if (!parsed.protocol) {
    throw failure('ERR_INVALID_URL', 'You must specify a full WebSocket URL, including protocol.');
  }
  if (!parsed.host) {
    throw failure(
      'ERR_INVALID_URL',
      'You must specify a full WebSocket URL, including hostname. Relative URLs are not supported.',
    );
  }
  return parsed;
}

function pathOf(target) {
  const path =
    target.pathname === undefined || target.pathname === null || target.pathname === ''
      ? `/${target.path ?? target.search ?? ''}`
      : (target.path ?? `${target.pathname}${target.search ?? ''}`);
  // What the request line can't have goes encoded, as browsers do it.
  return path.replace(/[^\x21-\x7e]+/g, (text) =>
    [...Buffer.from(text)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}

/** User and password of a URL, for the Authorization header. */
function credentialsOf(target) {
  if (target.auth) return target.auth;
  if (!target.username && !target.password) return undefined;
  return `${decodeURIComponent(target.username)}:${decodeURIComponent(target.password)}`;
}

module.exports = WebSocketClient;
