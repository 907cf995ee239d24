#!/usr/bin/env node
var WebSocketServer = require('towline').server;
var fs = require('fs');
var http = require('http');
var path = require('path');

var port = Number(process.argv[2] || 8080);
var colors = ['#c2410c', '#0f766e', '#1d4ed8', '#a21caf', '#4d7c0f', '#b91c1c'];
var history = [];

var server = http.createServer(function (request, response) {
  if (request.url !== '/') {
    response.writeHead(404);
    response.end();
    return;
  }
  response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' });
  fs.createReadStream(path.join(__dirname, 'index.html')).pipe(response);
});
server.listen(port, '127.0.0.1', function () {
  console.log('Chat is listening on 127.0.0.1:' + server.address().port);
});

var wsServer = new WebSocketServer({
  httpServer: server,
  // Everybody may chat.
  autoAcceptConnections: true,
});

function tellAll(entry) {
  history.push(entry);
  history = history.slice(-100);
  wsServer.broadcastUTF(JSON.stringify({ type: 'message', data: entry }));
}

function names() {
  return wsServer.connections
    .map(function (connection) {
      return connection.nick;
    })
    .filter(Boolean);
}

wsServer.on('connect', function (connection) {
  console.log('Connection from ' + connection.remoteAddress);
  connection.nick = null;
  connection.color = colors[wsServer.connections.length % colors.length];

  connection.on('message', function (message) {
    if (message.type !== 'utf8') {
      connection.drop(1003, 'Only text is chat');
      return;
    }
    // The first message is a name.
    if (connection.nick === null) {
      connection.nick = message.utf8Data.slice(0, 32);
      connection.sendUTF(JSON.stringify({ type: 'history', data: history }));
      connection.sendUTF(JSON.stringify({ type: 'color', data: connection.color }));
      wsServer.broadcastUTF(JSON.stringify({ type: 'names', data: names() }));
      return;
    }
    tellAll({
      time: Date.now(),
      nick: connection.nick,
      color: connection.color,
      text: message.utf8Data.slice(0, 2000),
    });
  });
});

wsServer.on('close', function (connection, reasonCode, description) {
  console.log((connection.nick || connection.remoteAddress) + ' left: ' + reasonCode + ' ' + description);
  wsServer.broadcastUTF(JSON.stringify({ type: 'names', data: names() }));
});
