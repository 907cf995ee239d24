// npm `ws` behind the interface that scenarios.mjs and server.mjs are written against.
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { WebSocket, WebSocketServer } from 'ws';
import { Connection, Rejected, REJECT_REASON } from '../connection.mjs';

// The required parameters of permessage-deflate, as JSON with the names of the RFC, or unset.
const DEFLATE = process.env.TOWLINE_PEER_DEFLATE && JSON.parse(process.env.TOWLINE_PEER_DEFLATE);
const camel = (name) => name.replace(/_./g, (part) => part[1].toUpperCase());
const LIMITS = {
  maxPayload: 64 * 1024 * 1024,
  maxFragments: 128 * 1024,
  perMessageDeflate: DEFLATE
    ? {
      threshold: 0,
      ...Object.fromEntries(Object.entries(DEFLATE).map(([name, value]) => [camel(name), value])),
    }
    : false,
};

class WsConnection extends Connection {
  constructor(ws) {
    super(ws.protocol);
    this.ws = ws;
    ws.on('message', (data, binary) => this.received(binary ? data : data.toString()));
    ws.on('pong', (payload) => this.ponged(payload));
    ws.on('close', (code, reason) => this.ended(code, reason.toString()));
    ws.on('error', () => {}); // `close` follows
  }

  send(data) {
    this.ws.send(data);
  }

  sendFragmented(data, size) {
    const bytes = Buffer.from(data);
    for (let at = 0; at < bytes.length; at += size) {
      this.ws.send(bytes.subarray(at, at + size), {
        binary: typeof data !== 'string',
        fin: at + size >= bytes.length,
      });
    }
  }

  sendPing(payload) {
    this.ws.ping(payload);
  }

  startClose(code, reason) {
    this.ws.close(code, reason);
  }
}

/** The error of a client whose server accepted none of the subprotocols it offered. */
export const refusal = /Server sent no subprotocol/;

export function connect(url, { protocols = [], headers = {}, opened, tls } = {}) {
  return new Promise((resolve, reject) => {
    const ws = new WebSocket(url, protocols, { headers, ...tls, ...LIMITS });
    // Inside `open`, since messages received with the handshake are emitted right after it.
    ws.once('open', () => {
      if (DEFLATE && !ws.extensions.includes('permessage-deflate')) {
        reject(new Error('compression was not agreed on'));
        return;
      }
      const connection = new WsConnection(ws);
      opened?.(connection);
      resolve(connection);
    });
    ws.on('error', reject);
    ws.once('unexpected-response', (request, response) => {
      reject(new Rejected(response.statusCode, response.headers['x-websocket-reject-reason']));
      request.destroy();
    });
  });
}

export function listen(host, port, { chooseProtocol, accepted, tls }) {
  const answer = (request, response) => response.writeHead(426).end();
  const http = tls ? createSecureServer(tls, answer) : createServer(answer);
  const server = new WebSocketServer({
    noServer: true,
    ...LIMITS,
    handleProtocols: (offered) => chooseProtocol([...offered]) ?? false,
  });
  http.on('upgrade', (request, socket, head) => {
    if (request.url.split('?')[0] === '/reject') {
      socket.end(`HTTP/1.1 403 Forbidden\r\nX-WebSocket-Reject-Reason: ${REJECT_REASON}\r\n` +
        'Content-Length: 0\r\nConnection: close\r\n\r\n');
      return;
    }
    socket.cork(); // sends the response and the first message in one packet
    server.handleUpgrade(request, socket, head, (ws) => accepted(new WsConnection(ws), request));
    socket.uncork();
  });
  return new Promise((resolve) => http.listen(port, host, () => resolve(http.address().port)));
}
