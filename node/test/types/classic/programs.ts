// Programs as they are written to @types/websocket: they compile with that, and must with this.

import events = require('events');
import http = require('http');
import https = require('https');
import net = require('net');
import url = require('url');
import websocket = require('websocket');
import { connection, ICookie, IMessageEvent, IServerConfig, Message, w3cwebsocket as W3CWebSocket } from 'websocket';

declare const httpServer: http.Server;
declare const httpsServer: https.Server;
declare const socket: net.Socket;

// 1. An echo server.
const server = new websocket.server({ httpServer, autoAcceptConnections: false });
server.on('request', (request: websocket.request) => {
  const accepted: websocket.connection = request.accept('echo-protocol', request.origin);
  accepted.on('message', (message: websocket.Message) => {
    if (message.type === 'utf8') accepted.sendUTF(message.utf8Data);
    else if (message.type === 'binary') accepted.sendBytes(message.binaryData);
  });
  accepted.on('close', (code: number, description: string) => code + description.length);
});

// 2. Callbacks of what is sent.
function report(err?: Error): void {
  if (err) throw err;
}
export function send(to: connection): void {
  to.send('text', report);
  to.sendUTF('text', (err?: Error) => report(err));
  to.sendBytes(Buffer.alloc(1), report);
  to.sendFrame(new websocket.frame(), report);
  to.sendCloseFrame(1000, 'bye', report);
}

// 3. The socket of browsers, with handlers that take errors.
const client = new W3CWebSocket('ws://localhost/', 'chat', 'http://o.example', { Cookie: 'a=b' }, { agent: false }, {
  maxReceivedFrameSize: 1,
});
client.onerror = (error: Error) => error.message;
client.onopen = () => {
  if (client.readyState === client.OPEN) client.send('ahoy');
};
client.onclose = (event: websocket.ICloseEvent) => event.code + event.reason;
client.onmessage = (event: IMessageEvent) => {
  if (typeof event.data === 'string') event.data.toUpperCase();
};
client.onopen();
client.onerror(new Error('by hand'));
client.onmessage({ data: 'by hand' });
client.onclose({ code: 1000, reason: '', wasClean: true });
const state: number = W3CWebSocket.CLOSED;
const extensions: websocket.IExtension[] = client.extensions;

// 4. Strings that are always there.
export function describe(one: websocket.connection, request: websocket.request): string {
  return one.closeDescription.concat(one.protocol.trim(), request.origin.toLowerCase(), one.remoteAddress);
}
export const cookies = (request: websocket.request): string[] => request.cookies.map((cookie: ICookie) => cookie.value.trim());

// 5. A version that is any number.
const version: number = 13;
const config: websocket.IClientConfig = { webSocketVersion: version, tlsOptions: { rejectUnauthorized: false } };
new websocket.client(config).connect(url.parse('ws://localhost/'), ['a'], 'o', { a: 'b' }, { localAddress: '127.0.0.1' });

// 6. Frames.
export function frames(one: websocket.connection): void {
  one.on('frame', (frame: websocket.frame) => frame.binaryPayload.toString('utf8') + frame.closeStatus);
  const frame = new websocket.frame();
  frame.fin = true;
  frame.opcode = 0x2;
  frame.length = 0;
  frame.binaryPayload = Buffer.alloc(4);
  frame.mask = 1;
  frame.toBuffer(true).toString();
}

// 7. A router, and what it hands out.
const router = new websocket.router({ server });
router.mount('*', 'chat', (request: websocket.IRouterRequest) => {
  request.accept('chat', request.origin, [{ name: 'a', value: 'b' }]).drop(1000, 'x', true);
  request.on('requestRejected', (rejected) => rejected.resource);
});
router.mount(/^x/, null, (request) => request.reject(404, 'no'));
const handlers: websocket.IRouterHandler[] = router.handlers;
export const paths = handlers.map(({ pathString, protocol }) => pathString + protocol);

// 8. Declarations of what was inside.
export function length(list: websocket.IBufferList): number {
  return list.length;
}

// 9. Properties that programs set.
export function set(one: websocket.connection): void {
  one.closeDescription = 'mine';
  one.closeReasonCode = 4000;
  one.connected = false;
  one.maxReceivedMessageSize = 1;
  one.config = { closeTimeout: undefined };
  one.state = 'closed';
}

// 10. A class of one's own, around all of them.
class Peer extends events.EventEmitter {
  private socket?: websocket.connection;
  constructor(private readonly options: IServerConfig) {
    super();
    const own = new websocket.server(this.options);
    own.on('connect', (one) => this.take(one));
    own.addListener('close', (one: websocket.connection, reason: number, description: string) => this.emit('end', one, reason, description));
  }
  private take(one: websocket.connection): void {
    this.socket = one;
    one.on('message', this.handle.bind(this));
    one.on('error', function onError(this: unknown, error: Error) { error.message.trim(); });
    one.once('drain', () => one.resume());
    one.on('ping', (cancel: () => void, payload: Buffer) => payload.length || cancel());
    one.on('pong', (payload: Buffer) => payload.length);
  }
  private handle(message: Message): void {
    if (message.type === 'utf8') this.emit('text', message.utf8Data);
    if (this.socket) this.socket.close(websocket.connection.CLOSE_REASON_NORMAL, 'enough');
  }
}
export const peer = new Peer({ httpServer: [httpServer, httpsServer], keepalive: true, closeTimeout: undefined });

// 11. Subclasses.
class Connection extends websocket.connection {
  constructor() {
    super(socket, [], 'chat', false, {});
  }
  sendUTF(data: websocket.IStringified, cb?: (err?: Error) => void): void {
    super.sendUTF(data, cb);
  }
  sendFrame(frame: websocket.frame, cb?: (err?: Error) => void): void {
    super.sendFrame(frame, cb);
  }
}
class Server extends websocket.server {
  handleRequestAccepted(one: websocket.connection): void {
    super.handleRequestAccepted(one);
  }
}
class Socket extends W3CWebSocket {
  send(data: ArrayBufferView | ArrayBuffer | Buffer | websocket.IStringified): void {
    super.send(data);
  }
}
export const own = [Connection, Server, Socket];

// 12. Handshakes by hand.
httpServer.on('upgrade', (incoming: http.IncomingMessage, stream: net.Socket) => {
  const request = new websocket.request(stream, incoming, { httpServer });
  request.readHandshake();
  request.requestedProtocols.includes('a') ? request.accept('a') : request.reject(403, 'no', { 'X-A': 'b' });
  request.on('requestAccepted', (one: websocket.connection) => one.webSocketVersion);
  server.handleUpgrade(incoming, stream);
});

// 13. A client with all of its events.
const eager = new websocket.client();
eager.on('connectFailed', (error: Error) => error.toString());
eager.on('connect', (one: websocket.connection) => one.ping('x'));
eager.on('httpResponse', (response: http.IncomingMessage, failed: websocket.client) => failed.abort());
eager.connect('ws://localhost/', undefined, undefined, undefined, { headers: {} });
eager.connect('ws://localhost/', 'chat', 'http://o.example', { Authorization: 'x' });

// 14. Maps and unions of them.
const all = new Map<string, websocket.connection | null>();
all.forEach((one) => one?.socket.setKeepAlive(true));
const broadcast: Buffer | string = 'x';
server.broadcast(broadcast);
server.connections.forEach((one: websocket.connection) => one.sendUTF(JSON.stringify({ n: 1 })));

// 15. Descriptions by code.
const texts: { [code: number]: string } = websocket.connection.CLOSE_DESCRIPTIONS;
const code: number = websocket.connection.CLOSE_REASON_POLICY_VIOLATION;
export const text: string = texts[code] + state + extensions.length;

// 16. What warns of names.
websocket.deprecation.disableWarnings = true;
websocket.deprecation.warn('x');
export const release: string = websocket.version;

// 17. Interfaces that a connection fits.
interface Transport {
  send(data: string): void;
  close(): void;
  on(event: 'message', cb: (message: websocket.Message) => void): unknown;
}
export const transport: Transport = {} as websocket.connection;

// 18. A socket behind an interface of one's own.
interface Minimal {
  onopen: () => void;
  onclose: (event: websocket.ICloseEvent) => void;
  send(data: string): void;
}
export const minimal: Minimal = new W3CWebSocket('ws://localhost/');

// 19. Options from elsewhere, which may be undefined.
declare const maybe: number | undefined;
const options: IServerConfig = { httpServer, keepaliveInterval: maybe, maxReceivedFrameSize: maybe };
server.mount(options);
export const mounted: IServerConfig | undefined = server.config;
