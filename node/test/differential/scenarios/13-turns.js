'use strict';
// Turns: what is sent and received within one, exits in the middle, contexts, the socket itself.
const { AsyncLocalStorage } = require('node:async_hooks');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { bothRoles, scenario } = require('../registry.js');
const { shown } = require('../stage.js');

const LIBRARY = process.argv[2];
const BURST = 20;

/** So many messages in one chunk. */
function burst(peer, name) {
  peer.write(Buffer.concat(Array.from({ length: BURST }, (_, n) => peer.frame({ payload: `${name} ${n}` }))));
}

async function logFrames(stage, peer) {
  for (const frame of await peer.rest()) stage.log('peer')('got', ...shown(frame));
}

// ---- ends of the process, and of the socket

const ENDS = {
  'process.exit()': 'process.exit()',
  'an error that nobody catches': 'throw new Error("at the end")',
  'a rejection that nobody catches': 'Promise.reject(new Error("at the end"))',
  'process.exit() in a tick': 'process.nextTick(() => process.exit())',
  'the end of the socket': 'connection.socket.end()',
  destroySoon: 'connection.socket.destroySoon()',
  destroy: 'connection.socket.destroy()',
  'drop without a close frame': 'connection.drop(1000, "", true)',
  drop: 'connection.drop(4001, "out")',
};

const WHENS = {
  'once connected': `
    connection.sendUTF('one');
    connection.sendBytes(Buffer.from('two'));
    connection.ping('three');
    END;`,
  'in a handler': `
    connection.on('message', ({ utf8Data }) => {
      connection.sendUTF('re: ' + utf8Data);
      if (utf8Data === 'one') END;
    });`,
  // By then, it is known that the handler is quick.
  'in the second burst': `
    connection.on('message', ({ utf8Data }) => {
      connection.sendUTF('re: ' + utf8Data);
      if (utf8Data === 'b 7') END;
    });`,
};

/** A client in a process of its own that plays `program`. */
function play(url, program) {
  const child = spawn(
    process.execPath,
    [
      '-e',
      `
    const lib = require(${JSON.stringify(LIBRARY)});
    const client = new lib.client();
    client.on('connect', (connection) => {${program}});
    client.connect('${url}');
    process.on('warning', (warning) => console.error(warning));
  `,
    ],
    { stdio: 'ignore' },
  );
  return once(child, 'exit');
}

function ending(name, when, end) {
  scenario(name, async (stage) => {
    const { url, next } = await stage.rawServer();
    const exit = play(url, WHENS[when].replaceAll('END', end));
    const peer = await next();
    peer.accept();
    if (when === 'in a handler') peer.send({ payload: 'one' });
    if (when === 'in the second burst') {
      burst(peer, 'a');
      for (let n = 0; n < BURST; n += 1) await peer.next();
      burst(peer, 'b');
    }
    await logFrames(stage, peer);
    peer.socket.destroy();
    stage.log('process')('exit', ...(await exit));
  });
}

for (const [what, end] of Object.entries(ENDS)) {
  for (const when of Object.keys(WHENS)) ending(`end: ${what}, ${when}`, when, end);
}
ending('end: SIGKILL, once connected', 'once connected', 'process.kill(process.pid, "SIGKILL")');
ending('end: SIGKILL, in a handler', 'in a handler', 'process.kill(process.pid, "SIGKILL")');

// ---- sending

bothRoles('turns: what is sent is with the system when the call returns', async (stage, role) => {
  const { connection, peer } = await stage.connection(role);
  const line = stage.log('connection');
  const watched = (what, act) => {
    const before = connection.socket.bytesWritten;
    act();
    line(what, connection.socket.bytesWritten - before, connection.socket.writableLength);
  };
  const all = () => {
    watched('sendUTF', () => connection.sendUTF('progress'));
    watched('sendUTF, again', () => connection.sendUTF('more progress'));
    watched('sendBytes', () => connection.sendBytes(Buffer.alloc(500)));
    watched('ping', () => connection.ping('p'));
    watched('many', () => {
      for (let n = 0; n < 10; n += 1) connection.send('x');
    });
  };
  all();
  connection.once('message', all);
  peer.send({ payload: 'now' });
  await once(connection, 'message');
  await new Promise((resolve) => {
    setTimeout(() => {
      all();
      resolve();
    });
  });
});

bothRoles('turns: what the program writes to the socket itself keeps its place', async (stage, role) => {
  const { connection, peer } = await stage.connection(role);
  const masked = role === 'client';
  const own = (payload) =>
    Buffer.concat([
      Buffer.from([0x81, (masked ? 0x80 : 0) | payload.length]),
      Buffer.alloc(masked ? 4 : 0),
      Buffer.from(payload),
    ]);
  const { socket } = connection;
  connection.on('message', ({ utf8Data }) => {
    connection.sendUTF(`<${utf8Data}`);
    socket.write(own(utf8Data));
    connection.sendUTF(`${utf8Data}>`);
  });
  for (const name of ['a', 'b', 'c']) {
    burst(peer, name);
    for (let n = 0; n < 3 * BURST; n += 1) stage.log('peer')('got', ...shown(await peer.next()));
  }
});

bothRoles('turns: a callback that throws is alone with it', async (stage, role) => {
  const { connection, peer } = await stage.connection(role);
  const line = stage.log('callbacks');
  const send = (name) =>
    connection.sendUTF(name, () => {
      line(name);
      if (name.endsWith('2')) throw new Error(`by ${name}`);
    });
  for (let n = 0; n < 5; n += 1) send(`directly ${n}`);
  await stage.settle();
  connection.on('message', ({ utf8Data }) => send(utf8Data));
  for (const name of ['a', 'b', 'c']) {
    burst(peer, name);
    for (let n = 0; n < BURST; n += 1) await peer.next();
    await stage.settle(2);
  }
});

// ---- contexts

scenario('contexts: callbacks are called in that of who sent', async (stage) => {
  const context = new AsyncLocalStorage();
  const connections = [];
  const { port } = await stage.serve({}, (request) => connections.push(request.accept(null, null)));
  const peers = [await stage.dial(port), await stage.dial(port)];
  const told = [];
  const send = (at, name) =>
    context.run(
      name,
      () =>
        new Promise((resolve) => {
          connections[at].sendUTF(name, () =>
            resolve(stage.log(`callbacks of ${at}`)(name, context.getStore())),
          );
        }),
    );
  await Promise.all([send(0, 'a'), send(1, 'b')]);
  for (const peer of peers) await peer.next();
  connections[0].on('message', ({ utf8Data }) => {
    told.push(send(0, `${utf8Data} to 0`), send(1, `${utf8Data} to 1`));
  });
  for (const name of ['x', 'y', 'z']) {
    burst(peers[0], name);
    for (let n = 0; n < BURST; n += 1) for (const peer of peers) await peer.next();
  }
  await Promise.all(told);
});

bothRoles('contexts: a handler has none of the message before', async (stage, role) => {
  const { connection, peer } = await stage.connection(role);
  const context = new AsyncLocalStorage();
  const line = stage.log('connection');
  connection.on('message', ({ utf8Data }) => {
    line(utf8Data, context.getStore());
    context.enterWith(utf8Data);
    connection.sendUTF('re');
  });
  for (const name of ['a', 'b']) {
    burst(peer, name);
    for (let n = 0; n < BURST; n += 1) await peer.next();
  }
});

scenario('contexts: time that runs out belongs to nobody else', async (stage) => {
  const context = new AsyncLocalStorage();
  const line = stage.log('connection');
  const connections = [];
  const keepalive = { keepaliveInterval: 60, keepaliveGracePeriod: 60 };
  const { port } = await stage.serve(keepalive, (request) => {
    const connection = request.accept(null, null);
    connections.push(connection);
    connection.on('close', (code) =>
      line(`close of ${connections.indexOf(connection)}`, code, context.getStore()),
    );
  });
  await stage.dial(port);
  await stage.dial(port);
  context.run('of somebody', () => {
    for (const connection of connections) connection.sendUTF('ahoy');
  });
  await Promise.all(connections.map((connection) => once(connection, 'close')));
});

// ---- receiving

bothRoles('turns: awaited one by one, and state that is set after an await', async (stage, role) => {
  const { connection, peer } = await stage.connection(role);
  const line = stage.log('connection');
  let state = 'none';
  connection.on('message', async ({ utf8Data }) => {
    line(utf8Data, state);
    for (let n = 0; n < 20; n += 1) await null;
    state = `after ${utf8Data}`;
  });
  burst(peer, 'a');
  for (let n = 0; n < BURST; n += 1) await once(connection, 'message');
  await stage.settle();
  line('in the end', state);
});

bothRoles('turns: timers and ticks of a handler, and the next message', async (stage, role) => {
  const { connection, peer } = await stage.connection(role);
  const line = stage.log('connection');
  const state = { tick: 'none', turned: false };
  setImmediate(function turn() {
    // Not by the message that is sent here.
    if (state.tick !== 'none') state.turned = true;
    else setImmediate(turn);
  });
  connection.on('message', ({ utf8Data }) => {
    line(utf8Data, state.tick);
    if (utf8Data === `a ${BURST - 1}`) line('the loop has turned', state.turned);
    process.nextTick(() => {
      state.tick = utf8Data;
    });
  });
  burst(peer, 'a');
  for (let n = 0; n < BURST; n += 1) await once(connection, 'message');
  await stage.settle();
});

bothRoles('turns: the peer ends its side right behind its messages', async (stage, role) => {
  const { connection, peer } = await stage.connection(role);
  const line = stage.watchConnection(connection);
  connection.pause();
  burst(peer, 'a');
  peer.socket.end();
  await stage.settle();
  connection.resume();
  await stage.event(connection, 'close');
  line('done');
});

bothRoles('pause: leaves no listeners behind, and is told once', async (stage, role) => {
  const { connection, peer } = await stage.connection(role);
  await stage.settle();
  const line = stage.watch(connection, 'connection', ['pause', 'resume']);
  const { socket } = connection;
  const before = ['pause', 'resume', 'data'].map((event) => socket.listenerCount(event));
  for (let n = 0; n < 15; n += 1) {
    connection.pause();
    peer.send({ payload: `${n}` });
    await stage.settle(1);
    const message = once(connection, 'message');
    connection.resume();
    line('message', (await message)[0].utf8Data);
  }
  const after = ['pause', 'resume', 'data'].map((event) => socket.listenerCount(event));
  line(
    'listeners more',
    after.map((count, n) => count - before[n]),
  );
});

bothRoles('pause: of the socket itself', async (stage, role) => {
  const { connection, peer } = await stage.connection(role);
  await stage.settle();
  const line = stage.watch(connection, 'connection', ['message', 'pause', 'resume']);
  connection.socket.pause();
  line('paused', connection.inputPaused);
  peer.send({ payload: 'held' });
  await stage.settle();
  line('nothing so far');
  connection.socket.resume();
  await once(connection, 'message');
});

scenario('pause: right after accept', async (stage) => {
  let connection;
  const { port } = await stage.serve({}, (request) => {
    connection = request.accept(null, null);
    stage.watchConnection(connection);
    stage.attempt(stage.log('connection'), 'pause', () => connection.pause());
  });
  const peer = await stage.dial(port);
  peer.send({ payload: 'held' });
  await stage.settle();
  stage.log('connection')('nothing so far');
  connection.resume();
  await once(connection, 'message');
});
