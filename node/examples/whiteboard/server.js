#!/usr/bin/env node
var websocket = require('towline');
var WebSocketServer = websocket.server;
var WebSocketRouter = websocket.router;
var fs = require('fs');
var http = require('http');
var path = require('path');

var port = Number(process.argv[2] || 8080);

var server = http.createServer(function (request, response) {
  response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' });
  fs.createReadStream(path.join(__dirname, 'index.html')).pipe(response);
});
server.listen(port, '127.0.0.1', function () {
  console.log('Whiteboard is listening on 127.0.0.1:' + server.address().port);
});

var wsServer = new WebSocketServer({ httpServer: server });

var router = new WebSocketRouter();
router.attachServer(wsServer);

// A stroke is binary: colour (3 bytes), width (1 byte), then x and y of its points (2 bytes each).
var strokes = [];
var connections = [];

router.mount('*', 'whiteboard-example', function (request) {
  // Pages are only to be served from here.
  var connection = request.accept(request.origin);
  console.log(
    new Date() +
      ' connection accepted from ' +
      connection.remoteAddress +
      ' - Protocol Version ' +
      connection.webSocketVersion,
  );
  connections.push(connection);

  // What has been drawn so far, in one message for each stroke.
  strokes.forEach(function (stroke) {
    connection.sendBytes(stroke);
  });
  tellCount();

  connection.on('message', function (message) {
    if (message.type === 'binary') {
      strokes.push(message.binaryData);
      connections.forEach(function (destination) {
        destination.sendBytes(message.binaryData);
      });
      return;
    }
    try {
      var command = JSON.parse(message.utf8Data);
      if (command.msg === 'clear') {
        strokes = [];
        broadcast(command);
      }
    } catch (e) {
      console.log('not a command: ' + message.utf8Data);
    }
  });

  connection.on('close', function () {
    console.log(new Date() + ' peer ' + connection.remoteAddress + ' disconnected');
    connections.splice(connections.indexOf(connection), 1);
    tellCount();
  });
});

function broadcast(command) {
  connections.forEach(function (destination) {
    destination.sendUTF(JSON.stringify(command));
  });
}

function tellCount() {
  broadcast({ msg: 'count', data: connections.length });
}
