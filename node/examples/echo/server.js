#!/usr/bin/env node
var WebSocketServer = require('towline').server;
var http = require('http');

var port = Number(process.argv[2] || 8080);

var server = http.createServer(function (request, response) {
  console.log(new Date() + ' Received request for ' + request.url);
  response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' });
  response.end('<!doctype html><title>Echo</title><p>An echo server: open a WebSocket to it.');
});
server.listen(port, '127.0.0.1', function () {
  console.log(new Date() + ' Server is listening on 127.0.0.1:' + server.address().port);
});

var wsServer = new WebSocketServer({
  httpServer: server,
  autoAcceptConnections: false,
  fragmentOutgoingMessages: false,
});

function originIsAllowed(origin) {
  // A program that is no browser has none; a browser is to come from this machine.
  return !origin || /^http:\/\/(127\.0\.0\.1|localhost)(:\d+)?$/.test(origin);
}

wsServer.on('request', function (request) {
  if (!originIsAllowed(request.origin)) {
    request.reject(403, 'Not from there');
    console.log(new Date() + ' Connection from origin ' + request.origin + ' rejected.');
    return;
  }
  if (request.requestedProtocols.indexOf('echo-protocol') === -1) {
    request.reject(400, 'This server speaks echo-protocol');
    return;
  }

  var connection = request.accept('echo-protocol', request.origin);
  console.log(new Date() + ' Connection accepted.');

  connection.on('message', function (message) {
    if (message.type === 'utf8') {
      console.log('Received Message: ' + message.utf8Data);
      connection.sendUTF(message.utf8Data);
    } else if (message.type === 'binary') {
      console.log('Received Binary Message of ' + message.binaryData.length + ' bytes');
      connection.sendBytes(message.binaryData);
    }
  });
  connection.on('close', function (reasonCode, description) {
    console.log(
      new Date() + ' Peer ' + connection.remoteAddress + ' disconnected: ' + reasonCode + ' ' + description,
    );
  });
});
