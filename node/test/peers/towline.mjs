// This package behind the interface that the scenarios of testing/interop/peers are written against.
import { createServer } from 'node:http';
import { Connection, Rejected, REJECT_REASON } from '../../../testing/interop/peers/connection.mjs';
import { parse } from '../support/wire.js';

const LARGEST = 64 * 1024 * 1024;
const CONFIG = {
  maxReceivedFrameSize: LARGEST,
  maxReceivedMessageSize: LARGEST,
  maxReceivedFragments: 131_072,
};
/** What TOWLINE_DEFLATE asks for, as `perMessageDeflate`; nothing, if it is not there. */
function compression(isServer) {
  const { TOWLINE_DEFLATE: settings } = process.env;
  if (settings === undefined) return false;
  const words = new Map(settings.split(',').map((word) => word.split('=')));
  const number = (name) => (words.has(name) ? Number(words.get(name)) : undefined);
  const [send, receive] = isServer ? ['server', 'client'] : ['client', 'server'];
  return {
    threshold: 0,
    [`${send}NoContextTakeover`]: !words.has('send-takeover'),
    [`${receive}NoContextTakeover`]: !words.has('receive-takeover'),
    [`${send}MaxWindowBits`]: number('send-bits'),
    [`${receive}MaxWindowBits`]: number('receive-bits'),
    zlibDeflateOptions: { level: number('level') },
  };
}

const FROM_NOBODY = { code: 1006, reason: '' };

class NodeConnection extends Connection {
  #closing;

  constructor(inner) {
    super(inner.protocol ?? '');
    this.inner = inner;
    inner.on('message', (m) => this.received(m.type === 'utf8' ? m.utf8Data : m.binaryData));
    inner.on('pong', (payload) => this.ponged(payload));
    inner.on('error', () => {}); // `close` follows
    // To whoever began to close, `close` says what it has sent itself.
    inner.on('close', (code, reason) => {
      const { code: end, reason: why } = this.#closing ? closeFrame(this.#closing) : { code, reason };
      this.ended(end, why ?? '');
    });
  }

  send(data) {
    this.inner.send(data);
  }

  sendFragmented(data, size) {
    const { config } = this.inner;
    this.inner.config = { ...config, fragmentOutgoingMessages: true, fragmentationThreshold: size };
    this.inner.send(data);
    this.inner.config = config;
  }

  sendPing(payload) {
    this.inner.ping(payload);
  }

  startClose(code, reason) {
    this.#closing = [];
    this.inner.socket.on('data', (chunk) => this.#closing.push(Buffer.from(chunk)));
    this.inner.close(code, reason);
  }
}

/** What the first close frame in these chunks says. */
function closeFrame(chunks) {
  let bytes = Buffer.concat(chunks);
  for (let frame = parse(bytes); frame; frame = parse(bytes)) {
    const { opcode, payload, total } = frame;
    if (opcode === 'close' && payload.length < 2) return { code: 1005, reason: '' };
    if (opcode === 'close') return { code: payload.readUInt16BE(), reason: payload.toString('utf8', 2) };
    bytes = bytes.subarray(total);
  }
  return FROM_NOBODY;
}

/** The interface, over an implementation of the API. */
export function library({ client: WebSocketClient, server: WebSocketServer }) {
  function connect(url, { protocols = [], headers = {}, opened } = {}) {
    return new Promise((resolve, reject) => {
      const client = new WebSocketClient({ ...CONFIG, perMessageDeflate: compression(false) });
      client.on('connect', (inner) => {
        const connection = new NodeConnection(inner);
        opened?.(connection);
        resolve(connection);
      });
      client.on('connectFailed', reject);
      client.on('httpResponse', (response) => {
        reject(new Rejected(response.statusCode, response.headers['x-websocket-reject-reason']));
      });
      client.connect(url, protocols, undefined, headers);
    });
  }

  function listen(host, port, { chooseProtocol, accepted }) {
    const http = createServer((_, response) => response.writeHead(426).end());
    const server = new WebSocketServer({ ...CONFIG, httpServer: http, perMessageDeflate: compression(true) });
    server.on('request', (request) => {
      if (request.resourceURL.pathname === '/reject') {
        request.reject(403, REJECT_REASON);
        return;
      }
      const { socket } = request;
      socket.cork(); // the response and what is sent at once leave in one packet
      const connection = request.accept(chooseProtocol(request.requestedProtocols) ?? null);
      accepted(new NodeConnection(connection), request.httpRequest);
      socket.uncork();
    });
    return new Promise((resolve) => http.listen(port, host, () => resolve(http.address().port)));
  }

  return { connect, listen, refusal: /Expected a Sec-WebSocket-Protocol header/ };
}
