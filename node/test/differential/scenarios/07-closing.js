'use strict';
const { bothRoles, scenario } = require('../registry.js');
const { shown, wire } = require('../stage.js');

for (const values of [[], [1001], [4000, 'why not ✓'], ['4000', 'text'], [3000, 7], [1000, ''], [1014]]) {
  bothRoles(`close: ${JSON.stringify(values)}`, async (stage, role) => {
    const { connection, peer } = await stage.watched(role);
    const line = stage.log('connection');
    stage.attempt(line, 'close', () => connection.close(...values));
    line(
      'closing',
      connection.connected,
      connection.closeReasonCode,
      connection.closeDescription,
      connection.state,
    );
    stage.log('peer')('got', ...shown(await peer.next()));
    stage.attempt(line, 'again', () => connection.close(4999));
    peer.close(values[0] === undefined ? 1000 : Number(values[0]));
    stage.log('peer')('then', await peer.ended);
    peer.socket.end();
    await stage.event(connection, 'close');
    line('closed', connection.state, connection.closeReasonCode, connection.closeDescription);
  });
}

bothRoles('close: codes that cannot be', async (stage, role) => {
  const { connection } = await stage.connection(role);
  for (const code of [0, -1, 999, 1004, 1005, 1006, 1016, 2999, 5000, 65536, NaN, 1000.5]) {
    stage.attempt(stage.log('connection'), `${code}`, () => {
      if (!Number.isNaN(code)) connection.close(code);
      return connection.connected;
    });
    if (!connection.connected) break;
  }
});

bothRoles('close: a reason that is too long', async (stage, role) => {
  const { connection, peer } = await stage.connection(role);
  stage.attempt(stage.log('connection'), 'close', () => connection.close(1000, 'x'.repeat(124)));
  const frame = await peer.next();
  stage.log('peer')('got', frame?.opcode, frame?.payload.length);
});

for (const [what, code, reason] of [
  ['1000', 1000, ''],
  ['a reason', 4002, 'done ✓'],
  ['nothing at all', undefined, ''],
  ['1001', 1001, 'going'],
  ['1012', 1012, ''],
  ['3999', 3999, 'x'.repeat(123)],
]) {
  bothRoles(`the peer closes: ${what}`, async (stage, role) => {
    const { connection, peer } = await stage.watched(role);
    const line = stage.log('connection');
    peer.close(code, reason);
    stage.log('peer')('got', ...shown(await peer.next()));
    stage.log('peer')('then', await peer.ended);
    peer.socket.end();
    if (!stage.lines().some((one) => one.includes("'close'"))) await stage.event(connection, 'close');
    line('closed', connection.connected, connection.closeReasonCode, connection.closeDescription);
  });
}

const BAD_CLOSES = {
  'code 0': wire.closing(0),
  'code 999': wire.closing(999),
  'code 1004': wire.closing(1004, 'x'),
  'code 1005': wire.closing(1005),
  'code 1006': wire.closing(1006),
  'code 1015': wire.closing(1015),
  'code 1016': wire.closing(1016),
  'code 2999': wire.closing(2999),
  'code 5000': wire.closing(5000),
  'one byte': Buffer.from([3]),
  'a reason that is no text': Buffer.concat([wire.closing(1000), Buffer.from([0x61, 0xff])]),
  'a reason of one byte that is no text': Buffer.concat([wire.closing(1000), Buffer.from([0xff])]),
};
for (const [what, payload] of Object.entries(BAD_CLOSES)) {
  bothRoles(`the peer closes wrongly: ${what}`, async (stage, role) => {
    const { connection, peer } = await stage.watched(role);
    peer.send({ opcode: 'close', payload });
    stage.log('peer')('got', ...shown(await peer.next()));
    peer.socket.end();
    if (!stage.lines().some((one) => one.includes("'close'"))) await stage.event(connection, 'close');
  });
}

bothRoles('the peer closes: nothing is heard after its close frame', async (stage, role) => {
  const { connection, peer } = await stage.watched(role);
  peer.write(
    Buffer.concat([
      peer.frame({ payload: 'before' }),
      peer.frame({ opcode: 'close', payload: wire.closing(1000) }),
      peer.frame({ payload: 'after' }),
      peer.frame({ opcode: 'ping' }),
    ]),
  );
  for (const frame of await peer.rest()) stage.log('peer')('got', ...shown(frame));
  peer.socket.end();
  await stage.settle();
  stage.log('connection')('connected', connection.connected);
});

bothRoles('the peer hangs up without a close frame', async (stage, role) => {
  const { connection, peer } = await stage.watched(role);
  peer.send({ payload: 'last words' });
  peer.socket.end();
  await stage.event(connection, 'close');
  stage.log('connection')('closed', connection.connected, connection.closeReasonCode, connection.receivedEnd);
  stage.log('peer')('got', (await peer.rest()).length);
});

bothRoles('the peer hangs up within a frame', async (stage, role) => {
  const { connection, peer } = await stage.watched(role);
  peer.write(peer.frame({ payload: 'not all of it' }).subarray(0, 8));
  peer.socket.end();
  await stage.event(connection, 'close');
});

bothRoles('the connection is reset', async (stage, role) => {
  const { connection, peer } = await stage.watched(role);
  await stage.settle();
  peer.socket.resetAndDestroy();
  await stage.event(connection, 'close');
  stage.log('connection')(
    'closed',
    connection.connected,
    connection.closeReasonCode,
    connection.closeDescription,
  );
});

bothRoles('the connection is reset, and nobody listens for errors', async (stage, role) => {
  const { connection, peer } = await stage.connection(role);
  stage.watch(connection, 'connection', ['close']);
  await stage.settle();
  peer.socket.resetAndDestroy();
  await stage.event(connection, 'close');
});

bothRoles('the program destroys the socket', async (stage, role) => {
  const { connection, peer } = await stage.watched(role);
  connection.socket.destroy();
  await stage.event(connection, 'close');
  stage.log('peer')('then', await peer.ended);
});

bothRoles('the program destroys the socket with an error', async (stage, role) => {
  const { connection } = await stage.watched(role);
  connection.socket.destroy(Object.assign(new Error('by the program'), { code: 'EOWN', syscall: 'own' }));
  await stage.event(connection, 'close');
});

bothRoles('the program ends the socket', async (stage, role) => {
  const { connection, peer } = await stage.watched(role);
  connection.socket.end();
  stage.log('peer')('then', await peer.ended);
  peer.socket.end();
  await stage.event(connection, 'close');
});

for (const where of ['option', 'property']) {
  bothRoles(`closeTimeout: the peer neither answers nor hangs up (${where})`, async (stage, role) => {
    const { connection, peer } = await stage.watched(role, where === 'option' ? { closeTimeout: 30 } : {});
    if (where === 'property') connection.closeTimeout = 30;
    peer.holds = true;
    const line = stage.log('connection');
    const began = performance.now();
    const closed = stage.event(connection, 'close').then(() => {
      const took = performance.now() - began;
      line('after its time', took > 25);
    });
    connection.close(1000, 'patience');
    stage.log('peer')('got', ...shown(await peer.next()));
    await Promise.race([
      closed,
      new Promise((resolve) => {
        setTimeout(resolve, 250);
      }),
    ]);
    line('in the end', connection.state, connection.socket.destroyed);
  });
}

bothRoles('closeTimeout: the peer hangs up without an answer', async (stage, role) => {
  const { connection, peer } = await stage.watched(role);
  connection.close();
  stage.log('peer')('got', ...shown(await peer.next()));
  await stage.event(connection, 'close');
});

for (const values of [
  [],
  [1008],
  [4008, 'spam'],
  [1008, 'quietly', true],
  ['1008', 7],
  [1006, 'odd'],
  [77],
]) {
  bothRoles(`drop: ${JSON.stringify(values)}`, async (stage, role) => {
    const { connection, peer } = await stage.watched(role);
    const line = stage.log('connection');
    stage.attempt(line, 'drop', () => connection.drop(...values));
    line(
      'dropped',
      connection.connected,
      connection.closeReasonCode,
      connection.closeDescription,
      connection.socket.destroyed,
      connection.state,
    );
    for (const frame of await peer.rest()) stage.log('peer')('got', ...shown(frame));
    stage.attempt(line, 'again', () => connection.drop(4999, 'again'));
    line('still', connection.closeReasonCode);
    await stage.settle();
  });
}

bothRoles('drop: while closing', async (stage, role) => {
  const { connection, peer } = await stage.watched(role);
  connection.close(4000, 'first');
  connection.drop(4001, 'second');
  for (const frame of await peer.rest()) stage.log('peer')('got', ...shown(frame));
  await stage.settle();
});

for (const values of [
  [4001, 'out'],
  [4001, 'out', true],
]) {
  bothRoles(`drop: output waits for the peer: ${JSON.stringify(values)}`, async (stage, role) => {
    const { connection, peer } = await stage.watched(role, { fragmentOutgoingMessages: false });
    peer.socket.pause();
    connection.sendBytes(Buffer.alloc(16 << 20));
    const line = stage.log('connection');
    line('waits', connection.socket.writableLength > 0);
    stage.attempt(line, 'drop', () => connection.drop(...values));
    line('dropped', connection.socket.destroyed, connection.state);
    await stage.settle();
  });
}

scenario('close: both ends at once', async (stage) => {
  const { clientSide, serverSide } = await stage.pair({}, (connection, role) => {
    stage.watchConnection(connection, role);
  });
  const closed = Promise.all([stage.event(clientSide, 'close'), stage.event(serverSide, 'close')]);
  clientSide.close(4001, 'client');
  serverSide.close(4002, 'server');
  await closed;
});

for (const side of ['client', 'server']) {
  scenario(`close: both ends of the library, the ${side} begins`, async (stage) => {
    const ends = await stage.pair({}, (connection, role) => stage.watchConnection(connection, role));
    const closed = Promise.all([
      stage.event(ends.clientSide, 'close'),
      stage.event(ends.serverSide, 'close'),
    ]);
    ends[`${side}Side`].close(4005, 'over ✓');
    await closed;
    for (const role of ['client', 'server']) {
      const { closeReasonCode, closeDescription, connected } = ends[`${role}Side`];
      stage.log(role)('closed', closeReasonCode, closeDescription, connected);
    }
  });

  scenario(`drop: both ends of the library, the ${side} drops`, async (stage) => {
    const ends = await stage.pair({}, (connection, role) => stage.watchConnection(connection, role));
    const other = side === 'client' ? ends.serverSide : ends.clientSide;
    const closed = stage.event(other, 'close');
    ends[`${side}Side`].drop(4006, 'dropped');
    await closed;
  });
}

bothRoles('close: an error in a handler of the close event', async (stage, role) => {
  const { connection, peer, server } = await stage.connection(role);
  connection.on('close', () => {
    throw new Error('by the handler');
  });
  peer.close(1000);
  await peer.ended;
  await stage.settle();
  stage.log('connection')('state', connection.connected, server?.connections.length);
});
