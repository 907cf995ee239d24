'use strict';

// Sends a message to a server in this process with the installed package: does the native module load,
// and work?

const http = require('http');
const { server: Server, w3cwebsocket: Socket } = require('towline');

const httpServer = http.createServer().listen(0, '127.0.0.1', () => {
  const server = new Server({ httpServer, autoAcceptConnections: true });
  server.on('connect', (connection) => {
    connection.on('message', (message) => connection.sendUTF(message.utf8Data));
  });
  const socket = new Socket(`ws://127.0.0.1:${httpServer.address().port}`);
  socket.onopen = () => socket.send('ship ahoy');
  socket.onmessage = ({ data }) => {
    console.log(`${data}, on Node ${process.version} for ${process.platform} ${process.arch}`);
    socket.close();
    httpServer.close();
  };
});

setTimeout(() => {
  console.error('no answer within ten seconds');
  process.exit(1);
}, 10_000).unref();
