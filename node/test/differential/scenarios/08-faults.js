'use strict';
const { bothRoles } = require('../registry.js');
const { shown } = require('../stage.js');

/** Has a peer send `frames`, and logs what comes of it. */
function fault(what, frames, config) {
  bothRoles(what, async (stage, role) => {
    const { connection, peer } = await stage.watched(role, config);
    for (const frame of frames) peer.send(frame);
    for (const frame of await peer.rest()) stage.log('peer')('got', ...shown(frame));
    stage.log('connection')(
      'closed',
      connection.connected,
      connection.closeReasonCode,
      connection.closeDescription,
    );
    await stage.settle(2);
  });
}

/** The same, where nothing may come of it. */
function harmless(what, frames, config) {
  bothRoles(what, async (stage, role) => {
    const { connection, peer } = await stage.watched(role, config);
    for (const frame of frames) peer.send(frame);
    peer.send({ opcode: 'ping', payload: 'still there?' });
    stage.log('peer')('got', ...shown(await peer.next()));
    stage.log('connection')('connected', connection.connected);
  });
}

const SMALL = { maxReceivedFrameSize: 1000, maxReceivedMessageSize: 2000 };
const bytes = (size) => Buffer.alloc(size, 0x61);

fault('limits: a frame too long', [{ opcode: 'binary', payload: bytes(1001) }], SMALL);
fault('limits: a frame too long by its header', [{ opcode: 'binary', payload: '', length: 5000 }], SMALL);
fault(
  'limits: a very long frame by its header',
  [{ opcode: 'text', payload: '', length: 0xffffffff }],
  SMALL,
);
fault(
  'limits: a message too long',
  [
    { payload: bytes(1000), fin: false },
    { opcode: 'continuation', payload: bytes(1000), fin: false },
    { opcode: 'continuation', payload: bytes(1) },
  ],
  SMALL,
);
fault(
  'limits: a message before a frame too long',
  [{ payload: 'fine' }, { opcode: 'binary', payload: bytes(1001) }],
  SMALL,
);
harmless('limits: a frame as long as may be', [{ payload: bytes(1000) }], SMALL);
harmless(
  'limits: a message as long as may be',
  [
    { payload: bytes(1000), fin: false },
    { opcode: 'continuation', payload: bytes(1000) },
  ],
  SMALL,
);
harmless('limits: a frame longer than a message may be', [{ payload: bytes(900) }], {
  maxReceivedFrameSize: 1000,
  maxReceivedMessageSize: 800,
});
harmless('limits: a server takes 64 KiB in a frame', [{ opcode: 'binary', payload: bytes(65536) }]);

bothRoles('limits: the default for a frame', async (stage, role) => {
  const { connection, peer } = await stage.watched(role);
  peer.send({ opcode: 'binary', payload: '', length: role === 'server' ? 65537 : (1 << 20) + 1 });
  for (const frame of await peer.rest()) stage.log('peer')('got', ...shown(frame));
  stage.log('connection')('closed', connection.closeReasonCode);
});

bothRoles('limits: maxReceivedMessageSize of the connection can be changed', async (stage, role) => {
  const { connection, peer } = await stage.watched(role, SMALL);
  connection.maxReceivedMessageSize = 10;
  peer.send({ payload: bytes(6), fin: false });
  peer.send({ opcode: 'continuation', payload: bytes(6) });
  peer.send({ opcode: 'ping' });
  stage.log('peer')('got', ...shown(await peer.next()));
  stage.log('connection')('closed', connection.closeReasonCode, connection.closeDescription);
});

fault('faults: rsv1', [{ payload: 'x', rsv: 4 }]);
fault('faults: rsv2', [{ payload: 'x', rsv: 2 }]);
fault('faults: rsv3 of a ping', [{ opcode: 'ping', payload: 'x', rsv: 1 }]);
fault('faults: opcode 3', [{ opcode: 3, payload: 'x' }]);
fault('faults: opcode 7, unfinished', [{ opcode: 7, payload: 'x', fin: false }]);
fault('faults: opcode 11', [{ opcode: 11 }]);
fault('faults: opcode 15 within a message', [{ payload: 'a', fin: false }, { opcode: 15 }]);
fault('faults: a long ping', [{ opcode: 'ping', payload: bytes(126) }]);
fault('faults: a long close frame', [{ opcode: 'close', payload: bytes(126) }]);
fault('faults: an unfinished ping', [{ opcode: 'ping', payload: 'x', fin: false }]);
fault('faults: a continuation of nothing', [{ opcode: 'continuation', payload: 'x' }]);
fault('faults: a continuation of nothing, unfinished', [
  { opcode: 'continuation', payload: 'x', fin: false },
]);
fault('faults: text within text', [{ payload: 'a', fin: false }, { payload: 'b' }]);
fault('faults: binary within text', [
  { payload: 'a', fin: false },
  { opcode: 'binary', payload: 'b', fin: false },
]);
fault('faults: a length of more than 32 bits', [{ opcode: 'binary', payload: '', length: 2 ** 40 }]);
fault('faults: what came before is heard', [
  { payload: 'before' },
  { opcode: 'ping', payload: 'p' },
  { opcode: 3 },
  { payload: 'after' },
]);
fault('faults: text that is no UTF-8', [{ payload: Buffer.from([0x61, 0xff, 0x62]) }]);
fault('faults: text that ends within a character', [{ payload: Buffer.from('世').subarray(0, 2) }]);
fault('faults: text with a surrogate', [{ payload: Buffer.from([0xed, 0xa0, 0x80]) }]);
fault('faults: text that is overlong', [{ payload: Buffer.from([0xc0, 0xaf]) }]);
fault('faults: fragments that are no UTF-8', [
  { payload: 'fine', fin: false },
  { opcode: 'continuation', payload: Buffer.from([0xff]), fin: false },
  { opcode: 'continuation', payload: 'end' },
]);
harmless('lengths: 16 and 64 bits where fewer would do', [
  { payload: 'short', wide: true },
  { opcode: 'binary', payload: bytes(200), wide: true },
]);
harmless('text: noncharacters and NUL', [{ payload: '\u0000\ufffe\uffff\u{10ffff}' }]);

bothRoles('text: bad UTF-8 in a message that is not finished', async (stage, role) => {
  const { connection, peer } = await stage.watched(role);
  peer.send({ payload: Buffer.from([0xff]), fin: false });
  await stage.settle();
  stage.log('connection')('so far', connection.connected);
});

bothRoles('masks: as they must not be', async (stage, role) => {
  const { connection, peer } = await stage.watched(role);
  peer.send({ payload: 'wrongly masked', mask: role === 'client' });
  await stage.settle();
  stage.log('connection')('so far', connection.connected);
});

bothRoles('faults: very many empty fragments', async (stage, role) => {
  const { connection, peer } = await stage.watched(role);
  peer.send({ payload: '', fin: false });
  const empty = peer.frame({ opcode: 'continuation', payload: '', fin: false });
  for (let n = 0; n < 100; n += 1) peer.write(Buffer.concat(Array(2000).fill(empty)));
  peer.send({ opcode: 'ping', payload: 'still there?' });
  const answer = await peer.next();
  stage.log('peer')('got', answer?.opcode);
  stage.log('connection')('connected', connection.connected, connection.closeReasonCode);
});
