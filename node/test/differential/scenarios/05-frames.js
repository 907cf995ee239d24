'use strict';
const { bothRoles, scenario } = require('../registry.js');
const { shown } = require('../stage.js');

const fresh = (lib, fields) =>
  Object.assign(new lib.frame(Buffer.alloc(4), Buffer.alloc(10), { maxReceivedFrameSize: 1000 }), fields);

scenario('frame: a new one', ({ lib, log }) => {
  const frame = fresh(lib);
  for (const name of [
    'fin',
    'rsv1',
    'rsv2',
    'rsv3',
    'mask',
    'opcode',
    'length',
    'binaryPayload',
    'closeStatus',
    'maxReceivedFrameSize',
    'protocolError',
    'frameTooLarge',
    'invalidCloseFrameLength',
  ]) {
    log('frame')(name, frame[name]);
  }
});

scenario('frame: toBuffer', ({ lib, log }) => {
  const line = log('frame');
  for (const size of [0, 1, 125, 126, 65535, 65536]) {
    for (const mask of [false, true]) {
      const frame = fresh(lib, { opcode: 2, fin: true, mask, binaryPayload: Buffer.alloc(size, 0x5a) });
      line(`${size}`, frame.toBuffer(true), frame.length, Buffer.isBuffer(frame.toBuffer(true)));
    }
  }
  for (const opcode of [0, 1, 2, 3, 8, 9, 10, 15]) {
    const frame = fresh(lib, { opcode, fin: opcode !== 1, mask: false, binaryPayload: Buffer.from('abc') });
    if (opcode === 8) frame.closeStatus = 1000;
    line(`opcode ${opcode}`, frame.toBuffer(), frame.toString());
  }
  line('rsv', fresh(lib, { opcode: 1, fin: true, rsv1: true, rsv3: true }).toBuffer());
  line('rsv2', fresh(lib, { opcode: 1, rsv2: true, binaryPayload: Buffer.alloc(0) }).toBuffer());
  line('no payload', fresh(lib, { opcode: 9, fin: true }).toBuffer());
  line('close without reason', fresh(lib, { opcode: 8, fin: true, closeStatus: 4001 }).toBuffer());
  line('text', String(fresh(lib, { opcode: 9, fin: true, mask: true })));
});

scenario('frame: toBuffer masks', ({ lib, log }) => {
  const payload = Buffer.from('a payload of some bytes');
  const bytes = fresh(lib, { opcode: 1, fin: true, mask: true, binaryPayload: payload }).toBuffer();
  const key = bytes.subarray(2, 6);
  const plain = bytes.subarray(6).map((byte, at) => byte ^ key[at & 3]);
  log('frame')('unmasked', plain.toString(), bytes.subarray(0, 2), payload.toString());
});

bothRoles('sendFrame: frames made by hand', async (stage, role) => {
  const { connection, peer } = await stage.connection(role);
  const line = stage.log('connection');
  const payload = Buffer.from('abc');
  const frames = [
    { opcode: 1, fin: true, binaryPayload: payload },
    { opcode: 2, fin: true, mask: role === 'server', binaryPayload: payload },
    { opcode: 1, fin: false, binaryPayload: payload },
    { opcode: 0, fin: false, binaryPayload: payload },
    { opcode: 0, fin: true },
    { opcode: 9, fin: true, binaryPayload: Buffer.from('ping') },
    { opcode: 1, fin: true, rsv1: true, binaryPayload: payload },
  ];
  for (const fields of frames) {
    const frame = fresh(stage.lib, fields);
    stage.attempt(line, 'sendFrame', () => connection.sendFrame(frame));
    line('afterwards', frame.mask, frame.length, frame.binaryPayload);
    stage.log('peer')('got', ...shown(await peer.next()));
  }
  line('connected', connection.connected);
});

const WRONG = {
  'a reserved opcode': [{ opcode: 5, fin: true, rsv2: true, rsv3: true }],
  'a continuation of nothing': [{ opcode: 0, fin: true }],
  'a message within a message': [
    { opcode: 1, fin: false },
    { opcode: 2, fin: true },
  ],
  'a fragment of a ping': [{ opcode: 9, fin: false }],
  'a long ping': [{ opcode: 9, fin: true, binaryPayload: Buffer.alloc(126) }],
};
for (const [what, frames] of Object.entries(WRONG)) {
  bothRoles(`sendFrame: ${what}`, async (stage, role) => {
    const { connection, peer } = await stage.connection(role);
    for (const fields of frames) {
      stage.attempt(stage.log('connection'), 'sendFrame', () =>
        connection.sendFrame(fresh(stage.lib, fields)),
      );
    }
    connection.ping('last');
    let frame;
    do {
      frame = await peer.next();
      stage.log('peer')('got', ...shown(frame));
    } while (frame && frame.payload.toString() !== 'last');
  });
}

bothRoles('sendFrame: a close frame', async (stage, role) => {
  const { connection, peer } = await stage.watched(role);
  const line = stage.log('connection');
  const frame = fresh(stage.lib, {
    opcode: 8,
    fin: true,
    closeStatus: 4009,
    binaryPayload: Buffer.from('by hand'),
  });
  stage.attempt(line, 'sendFrame', () => connection.sendFrame(frame));
  line('connected', connection.connected);
  stage.log('peer')('got', ...shown(await peer.next()));
  peer.close(4009);
  peer.socket.end();
  await stage.event(connection, 'close');
});

bothRoles('sendFrame: a message sent while one made by hand is not finished', async (stage, role) => {
  const { connection, peer } = await stage.connection(role);
  connection.sendFrame(fresh(stage.lib, { opcode: 1, fin: false, binaryPayload: Buffer.from('be') }));
  connection.sendUTF('whole');
  connection.sendFrame(fresh(stage.lib, { opcode: 0, fin: true, binaryPayload: Buffer.from('gun') }));
  for (let n = 0; n < 3; n += 1) stage.log('peer')('got', ...shown(await peer.next()));
});

bothRoles('sendCloseFrame', async (stage, role) => {
  if (!stage.lib.connection.prototype.sendCloseFrame) {
    stage.log('connection')('no such method');
    return;
  }
  for (const values of [[], [4000], [4000, 'why'], ['4000', 'why'], [1001, 7]]) {
    const { connection, peer } = await stage.connection(role);
    const sent = new Promise((resolve) => {
      connection.sendCloseFrame(...values, () => resolve());
      stage.log('connection')('connected', connection.connected, connection.closeReasonCode);
    });
    stage.log('peer')('got', ...shown(await peer.next()));
    if (values.length === 2) await sent;
  }
});

const FIELDS = ['fin', 'rsv1', 'rsv2', 'rsv3', 'mask', 'opcode', 'length', 'binaryPayload', 'closeStatus'];

bothRoles('assembleFragments: false gives frames', async (stage, role) => {
  const line = stage.log('connection');
  const { connection, peer } = await stage.connection(role, { assembleFragments: false }, (connection) => {
    connection.on('frame', function onFrame(frame) {
      line(
        "'frame'",
        ...FIELDS.map((name) => frame[name]),
        frame instanceof stage.lib.frame,
        this === connection,
        frame.toString(),
      );
    });
    for (const event of ['message', 'pong', 'close']) {
      connection.on(event, (...values) => line(`'${event}'`, ...values));
    }
  });
  peer.send({ payload: 'whole' });
  peer.send({ opcode: 'binary', payload: Buffer.alloc(200, 1) });
  peer.send({ payload: 'begin', fin: false });
  peer.send({ opcode: 'ping', payload: 'between' });
  peer.send({ opcode: 'continuation', payload: 'middle', fin: false });
  peer.send({ opcode: 'continuation', payload: 'end' });
  peer.send({ opcode: 'binary' });
  peer.send({ opcode: 'pong', payload: 'p' });
  peer.close(1000, 'bye');
  await stage.event(connection, 'close');
  for (const frame of await peer.rest()) stage.log('peer')('got', ...shown(frame));
});

bothRoles('assembleFragments: false, and what is against the rules', async (stage, role) => {
  const wrong = {
    'a continuation of nothing': [{ opcode: 'continuation', payload: 'x' }],
    'a second beginning': [{ payload: 'a', fin: false }, { payload: 'b' }],
    'bad text': [{ payload: Buffer.from([0xff]) }],
    'a reserved opcode': [{ opcode: 3 }],
  };
  for (const [what, frames] of Object.entries(wrong)) {
    const line = stage.log(what);
    const { connection, peer } = await stage.connection(role, { assembleFragments: false }, (each) => {
      each.on('frame', (frame) => line("'frame'", frame.opcode, frame.fin, frame.binaryPayload));
      stage.watch(each, what, ['message', 'close']);
    });
    for (const frame of frames) peer.send(frame);
    await stage.settle();
    line('connected', connection.connected);
  }
});

bothRoles('sendFrame: a received frame can be sent on', async (stage, role) => {
  const { peer } = await stage.connection(role, { assembleFragments: false }, (connection) => {
    connection.on('frame', (frame) => connection.sendFrame(frame));
  });
  peer.send({ payload: 'begin', fin: false });
  peer.send({ opcode: 'continuation', payload: 'end' });
  stage.log('peer')('got', ...shown(await peer.next()));
  stage.log('peer')('got', ...shown(await peer.next()));
});
