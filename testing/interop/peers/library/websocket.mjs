// npm `websocket` (WebSocket-Node) behind the interface of scenarios.mjs and server.mjs.
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import websocket from 'websocket';
import { Connection, Rejected, REJECT_REASON } from '../connection.mjs';

const CONFIG = {
  maxReceivedFrameSize: 64 * 1024 * 1024,
  maxReceivedMessageSize: 64 * 1024 * 1024,
};

class NodeConnection extends Connection {
  constructor(connection) {
    super(connection.protocol ?? '');
    this.inner = connection;
    connection.on('message', (m) => this.received(m.type === 'utf8' ? m.utf8Data : m.binaryData));
    connection.on('pong', (payload) => this.ponged(payload));
    connection.on('error', () => {}); // `close` follows
    // After it has started to close, it reads no more, and its `close` event has its own code.
    connection.on('close', (code, reason) => {
      if (this.closing) this.ended(...closeFrame(Buffer.concat(this.closing)));
      else this.ended(code === -1 ? 1005 : code, reason ?? '');
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
    this.closing = [];
    this.inner.socket.on('data', (chunk) => this.closing.push(chunk));
    this.inner.close(code, reason);
  }
}

/** Code and reason of the close frame at the start of `bytes`; 1006 if there is none. */
function closeFrame(bytes) {
  if (bytes[0] !== 0x88) return [1006, ''];
  const masked = bytes[1] & 0x80 ? 4 : 0;
  const mask = masked ? bytes.subarray(2, 6) : [0, 0, 0, 0];
  const payload = bytes.subarray(2 + masked).map((byte, at) => byte ^ mask[at % 4]);
  return payload.length < 2 ? [1005, ''] : [payload.readUInt16BE(), payload.toString('utf8', 2)];
}

export const refusal = /Expected a Sec-WebSocket-Protocol header/;

export function connect(url, { protocols = [], headers = {}, opened, tls } = {}) {
  return new Promise((resolve, reject) => {
    const client = new websocket.client({ ...CONFIG, tlsOptions: tls });
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

export function listen(host, port, { chooseProtocol, accepted, tls }) {
  const answer = (request, response) => response.writeHead(426).end();
  const http = tls ? createSecureServer(tls, answer) : createServer(answer);
  const server = new websocket.server({ ...CONFIG, httpServer: http });
  server.on('request', (request) => {
    if (request.resourceURL.pathname === '/reject') {
      request.reject(403, REJECT_REASON);
      return;
    }
    const { socket } = request;
    socket.cork(); // sends the response and the first message in one packet
    const connection = request.accept(chooseProtocol(request.requestedProtocols) ?? null);
    accepted(new NodeConnection(connection), request.httpRequest);
    socket.uncork();
  });
  return new Promise((resolve) => http.listen(port, host, () => resolve(http.address().port)));
}
