// Programs as they are written on this package: they must compile, and what is marked must not.

import { createServer } from 'node:http';
import {
  client as WebSocketClient,
  connect,
  connection as WebSocketConnection,
  frame as WebSocketFrame,
  IServerConfig,
  Message,
  request as WebSocketRequest,
  router as WebSocketRouter,
  server as WebSocketServer,
  version,
  w3cwebsocket as W3CWebSocket,
} from 'towline';

const config: IServerConfig = { httpServer: createServer(), keepaliveInterval: 1000 };
const server = new WebSocketServer(config);
// @ts-expect-error -- an HTTP server is required
new WebSocketServer({});

server.on('request', (request: WebSocketRequest) => {
  if (request.resourceURL.pathname !== '/' || request.cookies.length > 0) {
    return request.reject(404, 'no such thing', { 'X-Reason': 1 });
  }
  const connection = request.accept(request.requestedProtocols[0], request.origin, [
    { name: 'a', value: 'b', expires: new Date(), httponly: true },
  ]);
  connection.on('message', function (message) {
    const self: WebSocketConnection = this;
    if (message.type === 'utf8') self.sendUTF(message.utf8Data, (error) => error?.message);
    else self.sendBytes(message.binaryData);
    // @ts-expect-error -- one of the two, which `type` tells
    message.utf8Data.length;
  });
  connection.on('close', (code: number, description: string) => code + description);
  connection.once('ping', (cancel, data) => (data.length > 0 ? cancel() : undefined));
  // @ts-expect-error -- there is no such event
  connection.on('massage', () => {});
});
server.on('close', (connection, reason, description) => {
  connection.remoteAddress.concat(description, reason.toFixed());
});

const router = new WebSocketRouter({ server });
router.mount('*', null, (request) => request.accept(request.origin).drop(1008, 'no'));

const client = new WebSocketClient({ webSocketVersion: 8, tlsOptions: { ca: 'x' } });
client.on('connectFailed', (error) => error.message);
client.on('httpResponse', (response, failed) => failed.connect(`${response.statusCode}`));
client.connect('ws://localhost/', ['a', 'b'], null, { Authorization: 'x' }, { timeout: 1 });

const frame = new WebSocketFrame();
frame.opcode = 0x1;
frame.binaryPayload = Buffer.from(version);
const bytes: Buffer = frame.toBuffer(true);

const socket = new W3CWebSocket('ws://localhost/', 'chat');
socket.onmessage = ({ data }) => (typeof data === 'string' ? data.length : data.byteLength);
socket.addEventListener('close', ({ code, wasClean }) => (wasClean ? code : 0));
socket.send(new Uint8Array(bytes));

export async function modern(signal: AbortSignal): Promise<Message[]> {
  const connection = await connect('ws://localhost/', { protocols: 'chat', signal });
  const messages: Message[] = [];
  for await (const message of connection) messages.push(message);
  const { code, description } = await connection.closed;
  if (code !== WebSocketConnection.CLOSE_REASON_NORMAL) throw new Error(description);
  return messages;
}
