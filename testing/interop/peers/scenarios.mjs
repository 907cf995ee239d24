// The client's scenarios of the contract (see README.md), once for every Node library.
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { connect as connectTcp } from 'node:net';
import { once } from 'node:events';
import { Rejected } from './connection.mjs';

const MIB = 1024 * 1024;
const FRAGMENT = 997;

async function echoes(connection, message) {
  connection.send(message);
  await returns(connection, message);
}

async function returns(connection, message) {
  const reply = await connection.recv();
  assert.equal(typeof reply, typeof message, 'text came back as binary, or binary as text');
  const same = typeof message === 'string' ? reply === message : message.equals(reply);
  assert.ok(same, `${message.length} sent, ${reply.length} came back, and they differ`);
}

/** What the server received when the connection with this id closed. */
async function lastClose(connect, id) {
  const connection = await connect(`/last-close?id=${id}`);
  const record = JSON.parse(await connection.recv());
  await connection.close();
  return record;
}

/**
 * Each gets connect(path, options), the library and the server's URL. A returned connection is closed,
 * and must close without an error.
 */
export const scenarios = {
  async 'echo-text'(connect) {
    const connection = await connect('/');
    await echoes(connection, 'hello');
    await echoes(connection, 'Grüße, Ἑλλάς, 世界, 👩‍🚀🚢');
    return connection;
  },

  async 'echo-binary'(connect) {
    const connection = await connect('/');
    await echoes(connection, Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)));
    return connection;
  },

  async 'echo-empty'(connect) {
    const connection = await connect('/');
    await echoes(connection, '');
    await echoes(connection, Buffer.alloc(0));
    return connection;
  },

  async 'echo-lengths'(connect) {
    const connection = await connect('/');
    for (const length of [1, 125, 126, 127, 16383, 16384, 16385, 65535, 65536, 65537]) {
      await echoes(connection, randomBytes(length));
    }
    return connection;
  },

  async 'fragmented-text'(connect) {
    const connection = await connect('/fragmented');
    const text = 'aé世🚢'.repeat(Math.ceil(MIB / 10));
    connection.sendFragmented(text, FRAGMENT);
    await returns(connection, text);
    return connection;
  },

  async 'fragmented-binary'(connect) {
    const connection = await connect('/fragmented');
    const bytes = randomBytes(MIB);
    connection.sendFragmented(bytes, FRAGMENT);
    await returns(connection, bytes);
    return connection;
  },

  async ping(connect) {
    const connection = await connect('/');
    for (const payload of [Buffer.from('towline'), randomBytes(125)]) {
      const pong = await connection.ping(payload);
      assert.deepEqual(pong, payload);
    }
    return connection;
  },

  async 'server-ping'(connect) {
    const connection = await connect('/ping?payload=ahoy');
    assert.equal(await connection.recv(), 'pong ahoy');
    return connection;
  },

  async 'client-close'(connect) {
    const id = randomUUID();
    const connection = await connect(`/?id=${id}`);
    await echoes(connection, 'before');
    const { code } = await connection.close(4002, 'done ✓');
    assert.ok([4002, 1000].includes(code), `the server answered our 4002 with ${code}`);
    assert.deepEqual(await lastClose(connect, id), { code: 4002, reason: 'done ✓' });
  },

  async 'server-close'(connect) {
    const id = randomUUID();
    const connection = await connect(`/close?code=4001&reason=bye&id=${id}`);
    assert.deepEqual(await connection.closed, { code: 4001, reason: 'bye' });
    const { code } = await lastClose(connect, id);
    assert.ok([4001, 1000].includes(code), `the server's 4001 was answered with ${code}`);
  },

  async reject(connect) {
    const error = await connect('/reject').then(() => assert.fail('it was accepted'), (e) => e);
    assert.ok(error instanceof Rejected, `expected an HTTP answer, got ${error}`);
    assert.equal(error.status, 403);
    assert.equal(error.reason, 'not here');
  },

  async subprotocol(connect) {
    const connection = await connect('/', { protocols: ['other.v9', 'chat.v2', 'chat.v1'] });
    assert.equal(connection.protocol, 'chat.v2');
    await echoes(connection, 'agreed');
    return connection;
  },

  async 'no-subprotocol'(connect, { refusal }) {
    // Like browsers, these clients fail if none of their subprotocols is accepted, but only after the
    // server has accepted the connection.
    const error = await connect('/', { protocols: ['other.v9'] })
      .then(({ protocol }) => assert.fail(`connected, with ${protocol}`), (e) => e);
    assert.match(error.message, refusal);
  },

  async greeting(connect) {
    const connection = await connect('/headers', { headers: { 'X-Towline-Test': 'a value' } });
    assert.equal(JSON.parse(await connection.recv())['x-towline-test'], 'a value');
    await echoes(connection, 'and on');
    return connection;
  },

  /** A frame in the same packet as the handshake's request, as no library would send it. */
  async 'eager-client'(connect, library, base) {
    const { hostname, port, host } = new URL(base);
    const socket = connectTcp(port, hostname);
    await once(socket, 'connect');
    const text = 'hello from the handshake';
    const mask = randomBytes(4);
    const payload = Buffer.from(text).map((byte, at) => byte ^ mask[at % 4]);
    socket.write(Buffer.concat([
      Buffer.from(`GET / HTTP/1.1\r\nHost: ${host}\r\n` +
        'Upgrade: websocket\r\nConnection: Upgrade\r\n' +
        `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n` +
        'Sec-WebSocket-Version: 13\r\n\r\n'),
      Buffer.from([0x81, 0x80 | text.length]), mask, payload,
    ]));
    const echo = Buffer.concat([Buffer.from([0x81, text.length]), Buffer.from(text)]);
    let answer = Buffer.alloc(0);
    try {
      for await (const chunk of socket) {
        answer = Buffer.concat([answer, chunk]);
        if (answer.length && !'HTTP/1.1 101'.startsWith(answer.subarray(0, 12).toString())) break;
        if (answer.includes(echo)) return;
      }
      assert.fail(`no echo in the answer: ${JSON.stringify(answer.toString('latin1'))}`);
    } finally {
      socket.destroy();
    }
  },

  async concurrent(connect) {
    const all = await Promise.all(Array.from({ length: 50 }, () => connect('/')));
    await Promise.all(all.map(async (connection, n) => {
      await echoes(connection, `connection ${n}`);
      await closesWell(connection);
    }));
  },

  async pipelined(connect) {
    const connection = await connect('/');
    const messages = Array.from({ length: 1000 }, (_, n) => `message ${n}`);
    for (const message of messages) connection.send(message);
    for (const message of messages) await returns(connection, message);
    return connection;
  },
};

async function closesWell(connection) {
  const { code } = await connection.close();
  assert.equal(code, 1000, `the server answered our close with ${code}`);
}

/** Runs one scenario against the server at `base`; rejects if it fails or takes too long. */
export async function play(name, library, base, seconds = 20) {
  const connect = (path, options) => library.connect(new URL(path, base).href, options);
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${seconds} s`)), seconds * 1000);
  });
  const act = async () => {
    const connection = await scenarios[name](connect, library, base);
    if (connection) await closesWell(connection);
  };
  try {
    await Promise.race([act(), late]);
  } finally {
    clearTimeout(timer);
  }
}
