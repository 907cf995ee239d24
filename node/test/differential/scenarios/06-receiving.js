'use strict';
const { once } = require('node:events');
const { bothRoles, scenario } = require('../registry.js');
const { shown } = require('../stage.js');

/** Waits until the connection has emitted so many messages. */
function messages(connection, count) {
  return new Promise((resolve) => {
    let left = count;
    connection.on('message', function counted() {
      left -= 1;
      if (left) return;
      connection.removeListener('message', counted);
      resolve();
    });
  });
}

bothRoles('message: what it looks like', async (stage, role) => {
  const { connection, peer } = await stage.watched(role);
  connection.on('message', (message) => {
    const { binaryData } = message;
    stage.log('connection')('keys', Object.keys(message), Buffer.isBuffer(binaryData));
  });
  const all = messages(connection, 8);
  for (const options of [
    { payload: 'text' },
    { payload: '' },
    { payload: 'Grüße, 世界 🚢' },
    { opcode: 'binary', payload: Buffer.from([0, 1, 2, 255]) },
    { opcode: 'binary' },
    { payload: 'x'.repeat(126) },
    { opcode: 'binary', payload: Buffer.alloc(65535, 3) },
    { opcode: 'binary', payload: Buffer.alloc(65536, 4) },
  ])
    peer.send(options);
  await all;
});

bothRoles('message: assembled of fragments, with control frames between', async (stage, role) => {
  const { connection, peer } = await stage.watched(role);
  const all = messages(connection, 4);
  peer.send({ payload: 'a', fin: false });
  peer.send({ opcode: 'continuation', payload: 'b', fin: false });
  peer.send({ opcode: 'ping', payload: 'between' });
  peer.send({ opcode: 'pong', payload: 'too' });
  peer.send({ opcode: 'continuation', payload: '', fin: false });
  peer.send({ opcode: 'continuation', payload: 'c' });
  peer.send({ opcode: 'binary', payload: Buffer.from([1]), fin: false });
  peer.send({ opcode: 'continuation', payload: Buffer.from([2]) });
  peer.send({ payload: Buffer.from('世').subarray(0, 1), fin: false });
  peer.send({ opcode: 'continuation', payload: Buffer.from('世').subarray(1) });
  peer.send({ payload: '', fin: false });
  peer.send({ opcode: 'continuation', payload: '' });
  await all;
  stage.log('peer')('got', ...shown(await peer.next()));
});

bothRoles('message: bytes one by one', async (stage, role) => {
  const { connection, peer } = await stage.watched(role);
  const all = messages(connection, 3);
  const bytes = Buffer.concat([
    peer.frame({ payload: 'one' }),
    peer.frame({ payload: 'x'.repeat(130) }),
    peer.frame({ opcode: 'binary', payload: Buffer.from([1, 2]) }),
  ]);
  for (const byte of bytes) {
    peer.write(Buffer.from([byte]));
    await new Promise(setImmediate);
  }
  await all;
});

bothRoles('message: many in one chunk, in order', async (stage, role) => {
  const { connection, peer } = await stage.connection(role);
  const seen = [];
  connection.on('message', ({ utf8Data }) => seen.push(utf8Data));
  const all = messages(connection, 2000);
  peer.write(Buffer.concat(Array.from({ length: 2000 }, (_, n) => peer.frame({ payload: `${n}` }))));
  await all;
  stage.log('connection')(
    'in order',
    seen.length,
    seen.every((text, n) => text === `${n}`),
  );
});

bothRoles('message: a Buffer keeps its contents', async (stage, role) => {
  const { connection, peer } = await stage.connection(role);
  const kept = [];
  connection.on('message', ({ binaryData }) => kept.push(binaryData));
  const first = messages(connection, 50);
  peer.write(
    Buffer.concat(
      Array.from({ length: 50 }, (_, n) =>
        peer.frame({
          opcode: 'binary',
          payload: Buffer.alloc(n * 20, n),
        }),
      ),
    ),
  );
  await first;
  const more = messages(connection, 50);
  for (let n = 0; n < 50; n += 1) peer.send({ opcode: 'binary', payload: Buffer.alloc(3000, 255) });
  await more;
  const right = kept.slice(0, 50).every((data, n) => data.equals(Buffer.alloc(n * 20, n)));
  kept[10].fill(1);
  stage.log('connection')(
    'kept',
    kept.length,
    right,
    kept[11].equals(Buffer.alloc(220, 11)),
    kept[9].equals(Buffer.alloc(180, 9)),
  );
});

bothRoles('message: large, both ways', async (stage, role) => {
  const limits = { maxReceivedFrameSize: 1 << 20, maxReceivedMessageSize: 8 << 20 };
  const { clientSide, serverSide } = await stage.pair({ server: limits, client: limits });
  const [from, to] = role === 'server' ? [serverSide, clientSide] : [clientSide, serverSide];
  to.on('message', (message) => to.send(message.utf8Data ?? message.binaryData));
  const line = stage.watch(from, 'connection', ['message']);
  from.sendBytes(Buffer.alloc(3_000_000, 'abcdefg'));
  await stage.event(from, 'message');
  const text = 'é世🚢a'.repeat(100_000);
  from.sendUTF(text);
  const [message] = await stage.event(from, 'message');
  line('the same', message.utf8Data === text);
});

bothRoles('message: listeners come and go', async (stage, role) => {
  const { connection, peer } = await stage.connection(role);
  const line = stage.log('connection');
  const second = (message) => line('second', message.utf8Data);
  connection.once('message', (message) => {
    line('once', message.utf8Data);
    connection.on('message', second);
  });
  peer.write(Buffer.concat(['one', 'two', 'three'].map((payload) => peer.frame({ payload }))));
  await messages(connection, 3);
  connection.removeListener('message', second);
  connection.addListener('message', (message) => line('third', message.utf8Data));
  peer.send({ payload: 'four' });
  await messages(connection, 1);
  connection.removeAllListeners('message');
  peer.send({ payload: 'unheard' });
  await stage.settle();
});

bothRoles('message: awaited one by one', async (stage, role) => {
  const { connection, peer } = await stage.connection(role);
  peer.write(Buffer.concat(['one', 'two', 'three', 'four'].map((payload) => peer.frame({ payload }))));
  const late = stage.settle(30);
  for (let n = 0; n < 4; n += 1) {
    const heard = await Promise.race([once(connection, 'message'), late]);
    stage.log('connection')('got', heard?.[0].utf8Data);
  }
});

bothRoles('message: what a handler has put off happens before the next one', async (stage, role) => {
  const { connection, peer } = await stage.connection(role);
  const line = stage.log('connection');
  connection.on('message', async ({ utf8Data }) => {
    line('begun', utf8Data);
    await null;
    line('done', utf8Data);
  });
  const all = messages(connection, 3);
  peer.write(Buffer.concat(['one', 'two', 'three'].map((payload) => peer.frame({ payload }))));
  await all;
  await stage.settle(1);
});

bothRoles('message: a handler that throws loses nothing that follows', async (stage, role) => {
  const { connection, peer } = await stage.connection(role);
  const line = stage.log('connection');
  connection.on('message', (message) => {
    line("'message'", message.utf8Data);
    if (message.utf8Data === 'two') throw new Error('by the handler');
  });
  peer.write(Buffer.concat(['one', 'two', 'three', 'four'].map((payload) => peer.frame({ payload }))));
  await stage.settle();
  peer.send({ payload: 'five' });
  await stage.settle();
  line('connected', connection.connected);
});

bothRoles('message: close() in a handler is the last that is heard', async (stage, role) => {
  const { connection, peer } = await stage.watched(role);
  connection.on('message', () => connection.close(4000, 'enough'));
  peer.write(Buffer.concat(['one', 'two', 'three'].map((payload) => peer.frame({ payload }))));
  stage.log('peer')('got', ...shown(await peer.next()));
  peer.send({ payload: 'four' });
  peer.close(4000);
  peer.socket.end();
  await stage.event(connection, 'close');
});

bothRoles('message: drop() in a handler is the last that is heard', async (stage, role) => {
  const { connection, peer } = await stage.watched(role);
  connection.on('message', () => {
    connection.drop(4001, 'out');
    stage.log('connection')('drop has returned');
  });
  peer.write(Buffer.concat(['one', 'two', 'three'].map((payload) => peer.frame({ payload }))));
  stage.log('peer')('got', ...shown(await peer.next()));
  await stage.settle();
});

bothRoles('message: replies of one chunk keep their order', async (stage, role) => {
  const { connection, peer } = await stage.connection(role);
  connection.on('message', ({ utf8Data }) => {
    connection.sendUTF(`${utf8Data}!`);
    if (utf8Data === '5') connection.ping('five');
  });
  peer.write(
    Buffer.concat(
      Array.from({ length: 10 }, (_, n) =>
        peer.frame(n === 7 ? { opcode: 'ping', payload: 'seven' } : { payload: `${n}` }),
      ),
    ),
  );
  for (let n = 0; n < 11; n += 1) stage.log('peer')('got', ...shown(await peer.next()));
});

bothRoles('pause and resume', async (stage, role) => {
  const { connection, peer } = await stage.connection(role);
  await stage.settle();
  const line = stage.watch(connection, 'connection', ['message', 'pause', 'resume']);
  connection.pause();
  line('paused', connection.socket.isPaused());
  peer.send({ payload: 'held' });
  peer.send({ payload: 'held too' });
  await stage.settle();
  line('nothing so far');
  const both = messages(connection, 2);
  connection.resume();
  line('resume has returned');
  await both;
});

bothRoles('pause in a handler holds back the rest of the chunk', async (stage, role) => {
  const { connection, peer } = await stage.connection(role);
  await stage.settle();
  const line = stage.watch(connection, 'connection', ['message']);
  connection.on('message', (message) => {
    if (message.utf8Data !== 'two') return;
    connection.pause();
    line('paused');
  });
  peer.write(Buffer.concat(['one', 'two', 'three', 'four'].map((payload) => peer.frame({ payload }))));
  peer.send({ payload: 'five' });
  await stage.settle();
  line('nothing so far');
  const rest = messages(connection, 3);
  connection.resume();
  await rest;
});

bothRoles("pause: the peer's close waits as well", async (stage, role) => {
  const { connection, peer } = await stage.watched(role);
  await stage.settle();
  connection.pause();
  peer.send({ payload: 'held' });
  peer.close(1000, 'bye');
  await stage.settle();
  stage.log('connection')('so far', connection.connected);
  connection.resume();
  await stage.event(connection, 'close');
});

scenario('message: both ends of the library, events of both', async (stage) => {
  const { clientSide, serverSide } = await stage.pair({ protocol: 'chat' }, (connection, role) => {
    stage.watchConnection(connection, role);
  });
  stage.log('client')('protocol', clientSide.protocol);
  stage.log('server')('protocol', serverSide.protocol);
  serverSide.on('message', (message) => serverSide.sendUTF(`re: ${message.utf8Data}`));
  clientSide.sendUTF('hello');
  await stage.event(clientSide, 'message');
  clientSide.ping('p');
  await stage.event(clientSide, 'pong');
  clientSide.close(4003, 'over');
  await Promise.all([stage.event(clientSide, 'close'), stage.event(serverSide, 'close')]);
});
