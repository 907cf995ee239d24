#!/usr/bin/env node
var WebSocketClient = require('towline').client;

var url = process.argv[2] || 'ws://127.0.0.1:8080/';
var count = Number(process.argv[3] || 5);

var client = new WebSocketClient();

client.on('connectFailed', function (error) {
  console.log('Connect Error: ' + error.toString());
  process.exit(1);
});

client.on('connect', function (connection) {
  console.log('WebSocket Client Connected');
  connection.on('error', function (error) {
    console.log('Connection Error: ' + error.toString());
  });
  connection.on('close', function (reasonCode) {
    console.log('echo-protocol Connection Closed: ' + reasonCode);
  });
  connection.on('message', function (message) {
    if (message.type === 'utf8') {
      console.log("Received: '" + message.utf8Data + "'");
    }
    count -= 1;
    if (count > 0) {
      sendNumber();
    } else {
      connection.close();
    }
  });

  function sendNumber() {
    if (connection.connected) {
      var number = Math.round(Math.random() * 0xffffff);
      connection.sendUTF(number.toString());
    }
  }
  sendNumber();
});

client.connect(url, 'echo-protocol');
