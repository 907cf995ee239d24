'use strict';
const { bothRoles, scenario } = require('../registry.js');
const { shown } = require('../stage.js');

bothRoles('connection: properties while open, and afterwards', async (stage, role) => {
  const line = stage.log('connection');
  const names = [
    'connected',
    'state',
    'closeReasonCode',
    'closeDescription',
    'protocol',
    'extensions',
    'webSocketVersion',
    'websocketVersion',
    'remoteAddress',
    'maskOutgoingPackets',
    'closeTimeout',
    'assembleFragments',
    'maxReceivedMessageSize',
    'closeEventEmitted',
    'outputBufferFull',
    'inputPaused',
    'waitingForCloseResponse',
    'receivedEnd',
  ];
  const { connection, peer } = await stage.connection(role);
  for (const name of names) line(name, connection[name]);
  line('socket', connection.socket.constructor.name, connection.config.closeTimeout);
  peer.close(1001, 'away');
  await stage.event(connection, 'close');
  for (const name of names) line(`closed: ${name}`, connection[name]);
  line('closed: socket', connection.socket.destroyed);
});

const DATA = {
  text: 'text ✓',
  'an empty text': '',
  'a number': 42,
  zero: 0,
  false: false,
  'an array': [1, 2],
  'an object': { toString: () => 'an object' },
  'a plain object': {},
  'a Buffer': Buffer.from([0, 128, 255]),
  'an empty Buffer': Buffer.alloc(0),
  'a Uint8Array': new Uint8Array([1, 2, 3]),
  'a String': new String('boxed'),
  'a surrogate alone': 'a\ud800b',
  'a date': new Date(0).toISOString(),
};

for (const method of ['send', 'sendUTF', 'sendBytes']) {
  bothRoles(`${method}: kinds of data`, async (stage, role) => {
    const { connection, peer } = await stage.connection(role);
    for (const [what, data] of Object.entries(DATA)) {
      stage.attempt(stage.log('connection'), what, () => connection[method](data));
    }
    connection.sendUTF('end');
    for (let frame = await peer.next(); ; frame = await peer.next()) {
      stage.log('peer')('got', ...shown(frame));
      if (frame.payload.toString() === 'end') break;
    }
  });
}

scenario('send: what cannot be sent', async (stage) => {
  const { connection } = await stage.connection('server');
  const none = Object.create(null);
  for (const [method, data] of [
    ['send', none],
    ['send', null],
    ['send', undefined],
    ['sendUTF', null],
    ['sendUTF', undefined],
    ['sendBytes', null],
    ['sendBytes', undefined],
  ]) {
    try {
      connection[method](data);
      stage.log('connection')(method, 'returns');
    } catch (error) {
      const own = /^Data provided|^You must pass/.test(error.message) ? error.message : '';
      stage.log('connection')(method, error.constructor.name, own);
    }
  }
});

bothRoles('send: callbacks', async (stage, role) => {
  const { connection, peer } = await stage.connection(role, { fragmentationThreshold: 10 });
  const line = stage.log('callbacks');
  const done = (name) => (error) => line(name, error ?? 'no error');
  connection.sendUTF('text', done('sendUTF'));
  connection.sendBytes(Buffer.from('bytes'), done('sendBytes'));
  connection.send('auto', done('send'));
  connection.send(Buffer.from('auto'), done('send, a Buffer'));
  connection.sendUTF('x'.repeat(35), done('sendUTF in 4 fragments'));
  connection.sendUTF('', done('sendUTF of nothing'));
  const frame = new stage.lib.frame(Buffer.alloc(4), Buffer.alloc(10), {});
  frame.opcode = 0x2;
  frame.fin = true;
  frame.binaryPayload = Buffer.from('by hand');
  line('sendFrame returns', connection.sendFrame(frame, done('sendFrame')));
  line('all are sent');
  for (let n = 0; n < 10; n += 1) stage.log('peer')('got', ...shown(await peer.next()));
  await stage.settle();
});

bothRoles('send: a callback once the socket is gone', async (stage, role) => {
  const { connection } = await stage.connection(role);
  const line = stage.watchConnection(connection);
  connection.socket.destroy();
  await new Promise((resolve) => {
    stage.attempt(line, 'sendUTF', () =>
      connection.sendUTF('too late', (error) => {
        line('callback', error);
        resolve();
      }),
    );
  });
  await stage.settle();
});

bothRoles('send: after close()', async (stage, role) => {
  const { connection, peer } = await stage.watched(role);
  const line = stage.log('connection');
  connection.close();
  stage.attempt(line, 'sendUTF', () => connection.sendUTF('too late'));
  stage.attempt(line, 'ping', () => connection.ping('too late'));
  for (const frame of await peer.rest()) stage.log('peer')('got', ...shown(frame));
  peer.socket.end();
  if (!stage.lines().some((one) => one.includes("'close'"))) await stage.event(connection, 'close');
  await stage.settle();
});

bothRoles('send: after the connection is closed', async (stage, role) => {
  const { connection, peer } = await stage.watched(role);
  const line = stage.log('connection');
  peer.close(1000);
  await stage.event(connection, 'close');
  stage.attempt(line, 'sendUTF', () => connection.sendUTF('too late'));
  stage.attempt(line, 'sendBytes', () => connection.sendBytes(Buffer.from('too late')));
  stage.attempt(line, 'ping', () => connection.ping());
  stage.attempt(line, 'close', () => connection.close());
  stage.attempt(line, 'drop', () => connection.drop());
  await stage.settle();
});

bothRoles('send: many messages at once, and close', async (stage, role) => {
  const { connection, peer } = await stage.connection(role);
  for (let n = 0; n < 100; n += 1) connection.sendUTF(`message ${n}`);
  connection.close(1000, 'done');
  const frames = await peer.rest();
  const texts = frames.slice(0, 100).map(({ payload }) => payload.toString());
  stage.log('peer')(
    'in order',
    texts.every((text, n) => text === `message ${n}`),
    frames.length,
  );
  stage.log('peer')('last', ...shown(frames.at(-1)));
});

bothRoles('send: large messages in frames of fragmentationThreshold', async (stage, role) => {
  const { connection, peer } = await stage.connection(role);
  for (const size of [16383, 16384, 16385, 32768, 40000]) {
    connection.sendBytes(Buffer.alloc(size, 7));
    let frame;
    do {
      frame = await peer.next();
      stage.log('peer')(`of ${size}`, frame.opcode, frame.fin, frame.masked, frame.payload.length);
    } while (!frame.fin);
  }
});

bothRoles('send: fragments cut characters', async (stage, role) => {
  const { connection, peer } = await stage.connection(role, { fragmentationThreshold: 3 });
  connection.sendUTF('aé世🚢');
  for (let n = 0; n < 4; n += 1) {
    const { opcode, fin, payload } = await peer.next();
    stage.log('peer')('fragment', opcode, fin, payload);
  }
});

bothRoles('send: fragmentOutgoingMessages can be off', async (stage, role) => {
  const config = { fragmentOutgoingMessages: false, fragmentationThreshold: 10 };
  const { connection, peer } = await stage.connection(role, config);
  connection.sendUTF('x'.repeat(70_000));
  const { opcode, fin, payload } = await peer.next();
  stage.log('peer')('one frame', opcode, fin, payload.length);
});

bothRoles('send: the configuration can be changed, and replaced', async (stage, role) => {
  const { connection, peer } = await stage.connection(role);
  const frames = async (what) => {
    const sizes = [];
    let frame;
    do {
      frame = await peer.next();
      sizes.push(frame.payload.length);
    } while (!frame.fin);
    stage.log('peer')(what, sizes);
  };
  connection.config.fragmentationThreshold = 4;
  connection.sendUTF('0123456789');
  await frames('changed');
  const { config } = connection;
  connection.config = { ...config, fragmentationThreshold: 6 };
  connection.sendUTF('0123456789');
  await frames('replaced');
  connection.config = { ...config, fragmentOutgoingMessages: false };
  connection.sendUTF('0123456789');
  await frames('whole');
});

bothRoles('ping and pong: payloads', async (stage, role) => {
  const { connection, peer } = await stage.connection(role);
  const line = stage.log('connection');
  const payloads = [
    undefined,
    '',
    'text',
    'é'.repeat(70),
    Buffer.from([1, 2]),
    Buffer.alloc(125, 1),
    Buffer.alloc(126, 2),
    42,
    0,
    null,
    { toString: () => 'object' },
  ];
  for (const payload of payloads) {
    stage.attempt(line, 'ping', () => connection.ping(payload));
    stage.log('peer')('ping', ...shown(await peer.next()));
  }
  for (const payload of [
    undefined,
    null,
    Buffer.alloc(0),
    Buffer.from('data'),
    Buffer.alloc(125, 1),
    Buffer.alloc(126, 2),
  ]) {
    stage.attempt(line, 'pong', () => connection.pong(payload));
    stage.log('peer')('pong', ...shown(await peer.next()));
  }
});

bothRoles('ping: is answered', async (stage, role) => {
  const { peer } = await stage.watched(role);
  for (const payload of ['', 'ahoy', Buffer.alloc(125, 9)]) {
    peer.send({ opcode: 'ping', payload });
    stage.log('peer')('got', ...shown(await peer.next()));
  }
});

bothRoles('ping: a listener sees it, and can take the answer over', async (stage, role) => {
  const { connection, peer } = await stage.watched(role);
  const line = stage.log('connection');
  let refuse = false;
  const onPing = function onPing(cancel, payload) {
    line("'ping'", typeof cancel, payload, this === connection);
    if (refuse) cancel();
  };
  connection.on('ping', onPing);
  peer.send({ opcode: 'ping', payload: 'one' });
  stage.log('peer')('got', ...shown(await peer.next()));
  refuse = true;
  peer.send({ opcode: 'ping', payload: 'two' });
  peer.send({ opcode: 'ping' });
  await stage.settle();
  connection.removeListener('ping', onPing);
  peer.send({ opcode: 'ping', payload: 'three' });
  stage.log('peer')('got', ...shown(await peer.next()));
});

bothRoles('pong: an event, asked for or not', async (stage, role) => {
  const { connection, peer } = await stage.watched(role);
  peer.send({ opcode: 'pong', payload: 'unasked' });
  peer.send({ opcode: 'pong' });
  await stage.event(connection, 'pong');
  await stage.settle();
  connection.ping('question');
  peer.send({ opcode: 'pong', payload: (await peer.next()).payload });
  await stage.event(connection, 'pong');
});

bothRoles('drain and the return value of sendFrame', async (stage, role) => {
  const { connection, peer } = await stage.connection(role, { fragmentOutgoingMessages: false });
  const line = stage.watch(connection, 'connection', ['drain']);
  peer.socket.pause();
  let full = false;
  for (let n = 0; n < 400 && !full; n += 1) {
    connection.sendBytes(Buffer.alloc(1 << 18));
    full = connection.outputBufferFull;
  }
  line('full', full, connection.outputBufferFull, connection.socket.writableNeedDrain);
  const drained = stage.event(connection, 'drain');
  peer.socket.resume();
  await drained;
  line('drained', connection.outputBufferFull);
});

bothRoles('send: a Buffer that is used again at once', async (stage, role) => {
  const { connection, peer } = await stage.connection(role, { fragmentOutgoingMessages: false });
  for (const size of [10, 5000, 20_000, 300_000]) {
    const data = Buffer.alloc(size, 'a');
    connection.sendBytes(data);
    data.fill('b');
    connection.send(data);
    data.fill('c');
    for (let n = 0; n < 2; n += 1) stage.log('peer')('got', ...shown(await peer.next()));
  }
});

scenario('send: what the program writes to the socket itself goes out in between', async (stage) => {
  const { connection, peer } = await stage.connection('server');
  connection.sendUTF('one');
  connection.socket.write(peer.frame({ payload: 'two', mask: false }));
  connection.sendUTF('three');
  for (let n = 0; n < 3; n += 1) stage.log('peer')('got', ...shown(await peer.next()));
});

scenario('send: a corked socket holds back', async (stage) => {
  const { connection, peer } = await stage.connection('server');
  connection.socket.cork();
  connection.sendUTF('held');
  await stage.settle();
  stage.log('peer')('before', peer.socket.bytesRead > 200);
  connection.socket.uncork();
  stage.log('peer')('got', ...shown(await peer.next()));
});
