'use strict';
// What each dependent does in its users' programs. `load` requires from where they are installed,
// `serve` starts a server of npm `ws`, which is neither of the two packages, and gives its url.
const assert = require('node:assert/strict');
const { once } = require('node:events');
const http = require('node:http');
const { WebSocket } = require('ws');

/** The next event of a W3C socket or of an emitter of another kind. */
const next = (target, on, event) =>
  new Promise((resolve) => {
    target[on](event, (...values) => resolve(values));
  });

/** Answers JSON with what `reply` makes of it. */
const json = (reply) => (socket) =>
  socket.on('message', (data, isBinary) => {
    const answers = reply(isBinary ? data : JSON.parse(data));
    for (const answer of [answers].flat()) if (answer !== undefined) socket.send(JSON.stringify(answer));
  });

module.exports = {
  async 'cq-websocket'({ load, serve }) {
    const { CQWebSocket } = load('cq-websocket');
    const event = { post_type: 'message', message_type: 'private', message: 'ahoy', self_id: 1, user_id: 2 };
    const { port } = await serve((socket, { url }) => {
      if (url.startsWith('/api'))
        json(({ action, echo }) => ({ status: 'ok', retcode: 0, data: action, echo }))(socket);
      else socket.send(JSON.stringify(event));
    });
    const bot = new CQWebSocket({ host: '127.0.0.1', port, qq: 1, reconnection: false });
    const message = new Promise((resolve) => {
      bot.on('message.private', (_, context) => resolve(context.message));
    });
    const ready = new Promise((resolve) => {
      bot.on('ready', resolve);
    });
    bot.connect();
    await ready;
    assert.equal(await message, 'ahoy');
    assert.equal((await bot('send_private_msg', { user_id: 2, message: 're' })).data, 'send_private_msg');
    let closed = 0;
    const both = new Promise((resolve) => {
      bot.on('socket.close', (_, code) => {
        assert.equal(code, 1000);
        closed += 1;
        if (closed === 2) resolve();
      });
    });
    bot.disconnect();
    await both;
  },

  async 'janus-gateway-js'({ load, serve }) {
    const Janus = load('janus-gateway-js');
    const { url } = await serve(
      json(({ janus, transaction }) => ({
        janus: 'success',
        transaction,
        data: { id: janus === 'create' ? 1 : 2 },
      })),
      'janus-protocol',
    );
    const connection = await new Janus.Client(url, { keepalive: false }).createConnection('id');
    const session = await connection.createSession();
    assert.equal(session.getId(), 1);
    const closed = new Promise((resolve) => {
      connection.on('close', resolve);
    });
    await connection.close().catch(() => {});
    await closed;
  },

  async 'websocket-polyfill'({ load, serve }) {
    const { WebSocket: Polyfill } = load('websocket-polyfill/lib/WebSocket');
    const { url } = await serve(
      json((data) => data),
      'chat',
    );
    const socket = new Polyfill(url, 'chat');
    await new Promise((resolve) => {
      socket.onopen = resolve;
    });
    assert.equal(socket.readyState, Polyfill.OPEN);
    const message = next(socket, 'addEventListener', 'message');
    socket.send('"ahoy"');
    assert.equal((await message)[0].data, '"ahoy"');
    const closed = next(socket, 'addEventListener', 'close');
    socket.close(4000, 'over');
    assert.equal((await closed)[0].code, 4000);
  },

  async 'web3-providers-ws'({ load, serve }) {
    const Provider = load('web3-providers-ws');
    let authorization;
    const { url } = await serve((socket, { headers }) => {
      ({ authorization } = headers);
      json(({ id, method }) => [
        { jsonrpc: '2.0', id, result: method },
        { jsonrpc: '2.0', method: 'eth_subscription', params: { subscription: '0x1', result: id } },
      ])(socket);
    });
    const provider = new Provider(url.replace('//', '//user:pass@'), { timeout: 5000 });
    await next(provider, 'on', 'connect');
    const data = next(provider, 'on', 'data');
    const results = await Promise.all(
      [1, 2, 3].map(
        (id) =>
          new Promise((resolve, reject) => {
            provider.send({ jsonrpc: '2.0', id, method: `m${id}`, params: [] }, (error, { result }) =>
              error ? reject(error) : resolve(result),
            );
          }),
      ),
    );
    assert.deepEqual(results, ['m1', 'm2', 'm3']);
    assert.equal((await data)[0].params.subscription, '0x1');
    assert.equal(authorization, `Basic ${Buffer.from('user:pass').toString('base64')}`);
    const closed = next(provider, 'on', 'close');
    provider.disconnect(1000, 'over');
    assert.equal((await closed)[0].code, 1000);
  },

  async wampy({ load, serve, websocket }) {
    const { Wampy } = load('wampy');
    const { url } = await serve(
      json(([type, id, ...rest]) => {
        if (type === 1) return [[2, 7, { roles: { broker: {}, dealer: {} } }]];
        if (type === 32)
          return [
            [33, id, 5],
            [36, 5, 6, {}, ['published']],
          ];
        if (type === 48) return [[50, id, {}, [rest[1]]]];
        if (type === 6) return [[6, {}, 'wamp.close.goodbye_and_out']];
        return [];
      }),
      'wamp.2.json',
    );
    const client = new Wampy(url, { realm: 'test', ws: websocket.w3cwebsocket });
    await client.connect();
    const published = new Promise((resolve, reject) => {
      client.subscribe('a.topic', ({ argsList }) => resolve(argsList)).catch(reject);
    });
    assert.deepEqual(await published, ['published']);
    assert.deepEqual((await client.call('a.procedure')).argsList, ['a.procedure']);
    await client.disconnect();
  },

  async 'lime-transport-websocket'({ load, serve }) {
    const Transport = load('lime-transport-websocket');
    const { url } = await serve(
      json(({ id }) => [
        { id, state: 'one' },
        { id, state: 'two' },
      ]),
      'lime',
    );
    const transport = new Transport();
    await transport.open(url);
    const states = [];
    const both = new Promise((resolve) => {
      transport.onEnvelope = ({ state }) => {
        if (states.push(state) === 2) resolve();
      };
    });
    transport.send({ id: 1 });
    await both;
    assert.deepEqual(states, ['one', 'two']);
    await transport.close();
  },

  async 'noflo-runtime-websocket'({ load, defer }) {
    const httpServer = http.createServer().listen(0, '127.0.0.1');
    await once(httpServer, 'listening');
    defer(() => httpServer.close());
    load('noflo-runtime-websocket')(httpServer, {
      permissions: {},
      defaultPermissions: ['protocol:runtime'],
    });
    const client = new WebSocket(`ws://127.0.0.1:${httpServer.address().port}`, 'noflo');
    await once(client, 'open');
    assert.equal(client.protocol, 'noflo');
    client.send(JSON.stringify({ protocol: 'runtime', command: 'getruntime', payload: {} }));
    const [data] = await once(client, 'message');
    const { protocol, command, payload } = JSON.parse(data);
    assert.deepEqual([protocol, command, payload.type], ['runtime', 'runtime', 'noflo-nodejs']);
    client.close(1000);
    assert.equal((await once(client, 'close'))[0], 1000);
  },

  async 'ibm-watson/lib/recognize-stream'({ load, serve }) {
    const Recognizer = load('ibm-watson/lib/recognize-stream');
    let received = 0;
    const { url } = await serve(
      json((data) => {
        if (Buffer.isBuffer(data)) {
          received += data.length;
          return undefined;
        }
        if (data.action === 'start') return { state: 'listening' };
        return [
          { results: [{ final: true, alternatives: [{ transcript: `${received} bytes` }] }] },
          { state: 'listening' },
        ];
      }),
    );
    const recognizer = new Recognizer({
      serviceUrl: url,
      contentType: 'audio/l16; rate=16000',
      authenticator: { authenticate: async () => {} },
    });
    const closed = once(recognizer, 'close');
    const began = performance.now();
    // It sends more as soon as no more than its highWaterMark is buffered.
    for (let n = 0; n < 320; n += 1) recognizer.write(Buffer.alloc(64 << 10, n));
    recognizer.end();
    let text = '';
    for await (const chunk of recognizer) text += chunk;
    assert.equal(text, `${20 << 20} bytes`);
    await closed;
    return { uploaded: performance.now() - began };
  },

  async 'ibm-watson/lib/synthesize-stream'({ load, serve }) {
    const Synthesizer = load('ibm-watson/lib/synthesize-stream');
    const { url } = await serve((socket) =>
      socket.on('message', (data) => {
        for (let n = 0; n < 10; n += 1) socket.send(Buffer.alloc(1000, JSON.parse(data).text));
        socket.close(1000);
      }),
    );
    const synthesizer = new Synthesizer({
      serviceUrl: url,
      text: 'ab',
      accept: 'audio/wav',
      authenticator: { authenticate: async () => {} },
    });
    let audio = Buffer.alloc(0);
    for await (const chunk of synthesizer) audio = Buffer.concat([audio, chunk]);
    assert.deepEqual(audio, Buffer.alloc(10_000, 'ab'));
  },
};
