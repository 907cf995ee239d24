'use strict';
// Messages that are written to the kernel without Node's stream: where that is done, where it must not be,
// and that a program can't tell. `socket._handle.bytesWritten` is what Node has written.
const assert = require('node:assert/strict');
const { AsyncLocalStorage } = require('node:async_hooks');
const { once } = require('node:events');
const http = require('node:http');
const net = require('node:net');
const { test } = require('node:test');
const towline = require('./support/library.js');
const { answer, listen } = require('./support/listening.js');

const { bun, deno } = process.versions;
const skip = process.platform !== 'linux' || bun || deno ? 'only on Linux, and only with Node' : false;

/** A connection of a server, and the peer at the other end. */
async function pair(t, config = {}) {
  const httpServer = http.createServer();
  const port = await listen(t, httpServer);
  const server = new towline.server({ httpServer, ...config });
  const accepted = once(server, 'request').then(([request]) => request.accept(null, null));
  const { peer } = await answer(port, {});
  const connection = await accepted;
  connection.on('error', () => {});
  return { connection, peer, socket: connection.socket };
}

/** How many bytes `act` has had written, by Node and in all. */
function written(socket, act) {
  const { _handle } = socket;
  const [byNode, all] = [_handle.bytesWritten, socket.bytesWritten];
  act();
  return { byNode: _handle.bytesWritten - byNode, all: socket.bytesWritten - all };
}

/** What every write of Node's goes through, so that it has to write. */
function keepToNode(socket) {
  socket.write = function write(...args) {
    return net.Socket.prototype.write.apply(this, args);
  };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('a message goes straight to the kernel', { skip }, async (t) => {
  const { connection, peer, socket } = await pair(t, { fragmentOutgoingMessages: false });
  for (const [length, head] of [
    [5, 2],
    [300, 4],
    [20_000, 4],
    [100_000, 10],
  ]) {
    const text = 'é'.repeat(length / 2) + 'x'.repeat(length % 2);
    for (const act of [() => connection.sendUTF(text), () => connection.sendBytes(Buffer.from(text))]) {
      assert.deepEqual(written(socket, act), { byNode: 0, all: head + length });
      assert.equal((await peer.next()).payload.toString(), text);
    }
  }
  const ping = written(socket, () => connection.ping('p'));
  assert.deepEqual(ping, { byNode: 0, all: 3 });
  assert.equal((await peer.next()).opcode, 'ping');
  const { bytesWritten } = socket;
  connection.drop(1000, '', true);
  assert.equal(socket.bytesWritten, bytesWritten);
});

test('a client does it as well, masked', { skip }, async (t) => {
  const httpServer = http.createServer();
  const port = await listen(t, httpServer);
  const server = new towline.server({ httpServer, autoAcceptConnections: true });
  const connected = once(server, 'connect');
  const connection = await towline.connect(`ws://127.0.0.1:${port}/`);
  const [other] = await connected;
  for (const length of [5, 200_000]) {
    const arrived = once(other, 'message');
    const { byNode, all } = written(connection.socket, () => connection.sendUTF('y'.repeat(length)));
    assert.equal(byNode, 0);
    assert.ok(all > length, `${all} bytes`);
    const [{ utf8Data }] = await arrived;
    assert.equal(utf8Data, 'y'.repeat(length));
  }
  connection.close();
  await connection.closed;
});

/** What makes Node write, each with what undoes it. */
const REASONS = {
  'a callback': (socket, connection, send) => {
    send.callback = () => {};
    return () => {};
  },
  corked: (socket) => {
    socket.cork();
    return () => socket.uncork();
  },
  'a timeout': (socket) => {
    socket.setTimeout(60_000);
    return () => socket.setTimeout(0);
  },
  ...Object.fromEntries(
    ['write', '_write', '_writev', '_writeGeneric'].flatMap((name) => [
      [
        `${name} of the socket`,
        (socket) => {
          socket[name] = function replaced(...args) {
            return net.Socket.prototype[name].apply(this, args);
          };
          return () => delete socket[name];
        },
      ],
      [
        `${name} of the class`,
        () => {
          const { prototype } = net.Socket;
          const own = Object.getOwnPropertyDescriptor(prototype, name);
          const original = prototype[name];
          Object.defineProperty(prototype, name, {
            configurable: true,
            writable: true,
            value(...args) {
              return original.apply(this, args);
            },
          });
          return () => {
            if (own) Object.defineProperty(prototype, name, own);
            else delete prototype[name];
          };
        },
      ],
    ]),
  ),
};

for (const [reason, arrange] of Object.entries(REASONS)) {
  test(`Node writes: ${reason}`, { skip }, async (t) => {
    const { connection, peer, socket } = await pair(t);
    const send = { callback: undefined };
    connection.sendUTF('before');
    const undo = arrange(socket, connection, send);
    t.after(undo);
    const { byNode } = written(socket, () => {
      connection.sendUTF('meanwhile', send.callback);
      if (socket.writableCorked) socket.uncork();
    });
    assert.equal(byNode, 11);
    undo();
    assert.equal(written(socket, () => connection.sendUTF('after')).byNode, 0);
    for (const text of ['before', 'meanwhile', 'after']) {
      assert.equal((await peer.next()).payload.toString(), text);
    }
  });
}

test('Node writes to what is not one of its own sockets', { skip }, async (t) => {
  class Own extends net.Socket {}
  const server = net.createServer();
  const port = await listen(t, server);
  const accepted = once(server, 'connection');
  const socket = new Own();
  socket.connect(port, '127.0.0.1');
  const [[other]] = await Promise.all([accepted, once(socket, 'connect')]);
  const config = { fragmentationThreshold: 16384, closeTimeout: 5000 };
  const connection = new towline.connection(socket, [], null, false, config);
  const { byNode } = written(socket, () => connection.sendUTF('ahoy'));
  assert.equal(byNode, 6);
  assert.equal((await once(other, 'data'))[0].toString('latin1'), '\x81\x04ahoy');
  connection.drop(1000, '', true);
});

test('what the kernel does not take, Node writes, in order and as it was', { skip }, async (t) => {
  const { connection, peer, socket } = await pair(t, { fragmentOutgoingMessages: false });
  peer.socket.pause();
  const expected = [];
  const drains = [];
  const { bytesWritten } = socket;
  connection.on('drain', () => drains.push(socket.writableLength));
  const { byNode, all } = written(socket, () => {
    for (let n = 0; n < 4; n += 1) {
      const payload = Buffer.alloc(8 << 20, n + 1);
      connection.sendBytes(payload);
      expected.push(Buffer.alloc(8 << 20, n + 1));
      // Nobody is to see this.
      payload.fill(0xff);
      socket.write(Buffer.from([0x81, 1, 0x30 + n]));
      expected.push(Buffer.from(`${n}`));
      connection.sendUTF(`text ${n}`);
      expected.push(Buffer.from(`text ${n}`));
    }
  });
  assert.ok(byNode < all, 'the kernel took something');
  assert.ok(socket.writableLength > 0 && connection.outputBufferFull, 'but not everything');
  assert.equal(connection.bufferedAmount, socket.writableLength);
  peer.socket.resume();
  for (const payload of expected) {
    const frame = await peer.next();
    assert.ok(frame.payload.equals(payload), `${frame.opcode} of ${frame.payload.length} bytes`);
  }
  // Headers of 10 bytes for the long ones, of 2 for the others.
  const sizes = expected.map(({ length }) => length + (length > 100 ? 10 : 2));
  assert.equal(
    socket.bytesWritten - bytesWritten,
    sizes.reduce((sum, size) => sum + size),
  );
  while (socket.writableLength > 0) await turn();
  await turn();
  assert.ok(drains.length > 0 && drains.every((length) => length === 0), `${drains}`);
  assert.equal(connection.outputBufferFull, false);
});

// ---- the same, whoever writes

/** Plays with a connection to which Node writes, and with one of ours; both must look the same. */
function same(name, config, play) {
  test(`the same by Node: ${name}`, { skip }, async (t) => {
    const logs = [];
    for (const byNode of [true, false]) {
      const { connection, peer, socket } = await pair(t, config);
      if (byNode) keepToNode(socket);
      const log = [];
      const before = socket._handle.bytesWritten;
      const all = socket.bytesWritten;
      await play({ connection, peer, socket, line: (...words) => log.push(words) });
      if (socket._handle) {
        const isAll = socket._handle.bytesWritten - before === socket.bytesWritten - all;
        assert.equal(isAll, byNode, 'who has written');
      }
      connection.drop(1000, '', true);
      logs.push(log);
    }
    assert.deepEqual(logs[1], logs[0]);
    assert.ok(logs[0].length > 0);
  });
}

for (const length of [1_000, 16_383, 16_384, 65_535, 65_536, 400_000]) {
  same(
    `drain after ${length} bytes`,
    { fragmentOutgoingMessages: false },
    async ({ connection, line, peer, socket }) => {
      const context = new AsyncLocalStorage();
      connection.on('drain', () => line('connection drains', context.getStore()));
      socket.on('drain', () => line('socket drains', socket.writableNeedDrain));
      context.run('of who sends', () => {
        connection.sendBytes(Buffer.alloc(length));
        line('sent', socket.writableNeedDrain, socket.writableLength);
        Promise.resolve().then(() => line('promise'));
        process.nextTick(() => line('tick', socket.writableNeedDrain));
      });
      await peer.next();
      await turn();
      line('then', socket.writableNeedDrain, connection.outputBufferFull);
      connection.sendUTF('more');
      line('more', connection.outputBufferFull);
      await peer.next();
    },
  );
}

for (const sends of [1, 2, 5]) {
  same(`${sends} messages to a peer that has reset`, {}, async ({ connection, line, peer, socket }) => {
    for (const emitter of [connection, socket]) {
      const who = emitter === socket ? 'socket' : 'connection';
      emitter.on('error', ({ code, errno, message, syscall }) => line(who, code, errno, message, syscall));
      emitter.on('close', (...values) => line(who, 'close', ...values));
    }
    const before = socket.bytesWritten;
    connection.sendUTF('taken');
    await peer.next();
    peer.socket.resetAndDestroy();
    for (let n = 0; n < sends; n += 1) {
      connection.sendUTF(`lost ${n}`);
      line('sent', socket.destroyed, socket.writable, socket.writableLength, connection.connected);
    }
    connection.sendUTF('lost as well', (error) => line('callback', error?.code));
    // Not `once`, which the error would end.
    await connection.closed;
    await turn();
    line(connection.closeReasonCode, connection.closeDescription);
    line('written', socket.bytesWritten - before);
  });
}

same('callbacks between messages', {}, async ({ connection, line, peer }) => {
  for (let n = 0; n < 6; n += 1) {
    connection.sendUTF(`${n}`, n % 2 ? (error) => line('callback', n, error) : undefined);
    process.nextTick(() => line('tick', n));
  }
  line('sent');
  for (let n = 0; n < 6; n += 1) line((await peer.next()).payload.toString());
});

same('a half-closed peer', {}, async ({ connection, line, peer, socket }) => {
  socket.allowHalfOpen = true;
  peer.holds = true;
  connection.on('message', ({ utf8Data }) => {
    connection.sendUTF(`re: ${utf8Data}`);
    line(utf8Data, socket.readableEnded);
  });
  peer.send({ payload: 'last' });
  peer.socket.end();
  line((await peer.next()).payload.toString());
  connection.close();
  for (const frame of await peer.rest()) line(frame.opcode);
});

same('the end of the socket right behind', {}, async ({ connection, line, peer, socket }) => {
  connection.sendUTF('one');
  socket.end();
  connection.sendUTF('two');
  line(socket.writable, socket.bytesWritten);
  for (const frame of await peer.rest()) line(frame.payload.toString());
});
