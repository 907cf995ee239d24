'use strict';
// An echo server of the benchmark: server.js LIBRARY [--deflate]. Prints `listening HOST:PORT`.
const { createHash } = require('node:crypto');
const http = require('node:http');

const [library, ...flags] = process.argv.slice(2);
/** As `ws` spells it: each message is compressed for itself, however short it is. */
const deflate = flags.includes('--deflate') && {
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  threshold: 0,
};
const LARGEST = 16 << 20;

/** The API of npm `websocket`, which this package shares. */
function classic(path, httpServer) {
  const server = new (require(path).server)({
    httpServer,
    autoAcceptConnections: true,
    maxReceivedFrameSize: LARGEST,
    maxReceivedMessageSize: LARGEST,
    fragmentOutgoingMessages: false,
    perMessageDeflate: deflate,
  });
  server.on('connect', (connection) => {
    connection.on('error', () => {});
    connection.on('message', (message) => {
      if (message.type === 'utf8') connection.sendUTF(message.utf8Data);
      else connection.sendBytes(message.binaryData);
    });
  });
}

function ws(httpServer) {
  const { WebSocketServer } = require('ws');
  require('bufferutil'); // which `ws` uses where it is installed, as it advises
  const server = new WebSocketServer({
    server: httpServer,
    maxPayload: LARGEST,
    perMessageDeflate: deflate,
    clientTracking: false,
  });
  server.on('connection', (socket) => {
    socket.on('error', () => {});
    socket.on('message', (data, isBinary) => socket.send(isBinary ? data : data.toString()));
  });
}

/** Sends the bytes back as they come: what Node's sockets take by themselves. */
function bare(httpServer) {
  httpServer.on('upgrade', (request, socket) => {
    const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash('sha1').update(key).digest('base64');
    socket.setNoDelay();
    socket.on('error', () => {});
    socket.on('data', (chunk) => socket.write(chunk));
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
  });
}

const httpServer = http.createServer();
if (library === 'towline') classic('../', httpServer);
else if (library === 'websocket') classic('websocket', httpServer);
else if (library === 'ws') ws(httpServer);
else if (library === 'bare') bare(httpServer);
else {
  console.error(`no library ${library}: towline, websocket, ws or bare`);
  process.exit(2);
}
httpServer.listen({ host: '127.0.0.1', port: 0, backlog: 1024 }, () => {
  console.log(`listening 127.0.0.1:${httpServer.address().port}`);
});
