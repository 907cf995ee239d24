'use strict';
const { scenario } = require('../registry.js');
const { shown } = require('../stage.js');

const STATES = ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'];

/** Logs the events of a W3C socket, their fields, and whether `this` and `target` are the socket. */
function watch(stage, socket, channel = 'socket') {
  const line = stage.log(channel);
  for (const type of ['open', 'message', 'error', 'close']) {
    socket[`on${type}`] = function on(event) {
      const { data, code, reason, wasClean } = event;
      line(
        `on${type}`,
        event.type,
        ...(type === 'message' ? [data] : []),
        ...(type === 'close' ? [code, reason, wasClean] : []),
        socket.readyState,
        this === socket,
        event.target === socket,
      );
    };
  }
  return line;
}

/** Resolves at the next such event. */
const next = (socket, type) =>
  new Promise((resolve) => {
    const once = (event) => {
      socket.removeEventListener(type, once);
      resolve(event);
    };
    socket.addEventListener(type, once);
  });

async function opened(stage, { config, protocols } = {}) {
  const { url, next: nextPeer } = await stage.rawServer();
  const socket = new stage.lib.w3cwebsocket(`${url}/w3c`, protocols, undefined, undefined, undefined, config);
  const line = watch(stage, socket);
  const peer = await nextPeer();
  peer.accept(protocols ? { 'Sec-WebSocket-Protocol': [protocols].flat()[0] } : {});
  await next(socket, 'open');
  return { socket, peer, line };
}

scenario('w3c: constants and attributes', async (stage) => {
  const line = stage.log('w3c');
  for (const state of STATES)
    line(state, stage.lib.w3cwebsocket[state], stage.lib.w3cwebsocket.prototype[state]);
  const { url, next: nextPeer } = await stage.rawServer();
  const socket = new stage.lib.w3cwebsocket(`${url}/x`, ['a', 'b']);
  const show = (when) => {
    for (const name of ['url', 'readyState', 'protocol', 'extensions', 'bufferedAmount', 'binaryType']) {
      line(`${when}: ${name}`, socket[name]);
    }
  };
  show('connecting');
  (await nextPeer()).accept({ 'Sec-WebSocket-Protocol': 'b' });
  await next(socket, 'open');
  show('open');
  stage.attempt(line, 'binaryType', () => {
    socket.binaryType = 'arraybuffer';
  });
  stage.attempt(line, 'binaryType blob', () => {
    socket.binaryType = 'blob';
  });
  socket.close();
  show('closing');
  await next(socket, 'close');
  show('closed');
});

scenario('w3c: messages', async (stage) => {
  const { socket, peer } = await opened(stage);
  peer.send({ payload: 'text ✓' });
  peer.send({ opcode: 'binary', payload: Buffer.from([1, 2, 3]) });
  peer.send({ payload: 'fragm', fin: false });
  peer.send({ opcode: 'continuation', payload: 'ents' });
  await next(socket, 'message');
  await stage.settle();
});

scenario('w3c: an empty text and empty bytes', async (stage) => {
  const { peer } = await opened(stage);
  peer.send({ payload: '' });
  peer.send({ opcode: 'binary' });
  await stage.settle();
  stage.log('socket')('settled');
});

scenario('w3c: send', async (stage) => {
  const { socket, peer, line } = await opened(stage);
  const buffer = new Uint8Array([9, 8, 7, 6]).buffer;
  for (const data of [
    'text',
    new String('boxed'),
    Buffer.from([1, 2]),
    buffer,
    new Uint8Array(buffer, 1, 2),
    new DataView(buffer, 2),
    new Uint16Array([257]),
    new ArrayBuffer(0),
    '',
    7,
    {},
    [1],
  ]) {
    stage.attempt(line, 'send', () => socket.send(data));
  }
  for (const none of [null, undefined]) {
    try {
      socket.send(none);
      line('sent', none);
    } catch (error) {
      // The text is of the engine's there.
      line('not sent', none, error instanceof TypeError);
    }
  }
  socket.send('end');
  for (let frame = await peer.next(); ; frame = await peer.next()) {
    stage.log('peer')('got', ...shown(frame));
    if (frame.payload.toString() === 'end') break;
  }
});

scenario('w3c: send too early and too late', async (stage) => {
  const { url, next: nextPeer } = await stage.rawServer();
  const socket = new stage.lib.w3cwebsocket(url);
  const line = watch(stage, socket);
  stage.attempt(line, 'early', () => socket.send('x'));
  (await nextPeer()).accept();
  await next(socket, 'open');
  socket.close();
  stage.attempt(line, 'closing', () => socket.send('x'));
  await next(socket, 'close');
  stage.attempt(line, 'closed', () => socket.send('x'));
  stage.attempt(line, 'close again', () => socket.close());
});

for (const values of [[], [1000], [3000, 'a reason'], [4999], [999], [1005, 'x'], [undefined, 'no code']]) {
  scenario(`w3c: close ${JSON.stringify(values)}`, async (stage) => {
    const { socket, peer, line } = await opened(stage);
    stage.attempt(line, 'close', () => socket.close(...values));
    line('readyState', socket.readyState);
    const frame = await Promise.race([peer.next(), stage.settle().then(() => null)]);
    stage.log('peer')('got', ...shown(frame));
    if (frame) await next(socket, 'close');
  });
}

for (const [what, act] of Object.entries({
  1000: (peer) => peer.close(1000),
  'a reason': (peer) => peer.close(4001, 'why'),
  'no code': (peer) => peer.close(),
  'hanging up': (peer) => peer.socket.end(),
  'a fault': (peer) => peer.send({ opcode: 3 }),
})) {
  scenario(`w3c: the peer closes with ${what}`, async (stage) => {
    const { socket, peer } = await opened(stage);
    act(peer);
    await next(socket, 'close');
  });
}

scenario('w3c: connecting fails', async (stage) => {
  const { server, port } = await stage.rawServer();
  await new Promise((resolve) => server.close(resolve));
  const socket = new stage.lib.w3cwebsocket(`ws://127.0.0.1:${port}/`);
  watch(stage, socket);
  await next(socket, 'close');
});

scenario('w3c: the server says no', async (stage) => {
  const { url } = await stage.serve({}, (request) => request.reject(403));
  const socket = new stage.lib.w3cwebsocket(url);
  watch(stage, socket);
  await next(socket, 'close');
});

scenario('w3c: closed while connecting', async (stage) => {
  const { url, next: nextPeer } = await stage.rawServer();
  const socket = new stage.lib.w3cwebsocket(url);
  const line = watch(stage, socket);
  socket.close(4000, 'never mind');
  line('close has returned');
  const peer = await Promise.race([nextPeer(), stage.settle()]);
  peer?.accept();
  stage.log('peer')('got', ...shown(peer && (await peer.next())));
  await stage.settle();
});

scenario('w3c: close, and the peer answers', async (stage) => {
  for (const code of [1000, 4000]) {
    const { socket, peer } = await opened(stage);
    const closed = next(socket, 'close');
    socket.close(code, 'why');
    stage.log('peer')('got', ...shown(await peer.next()));
    peer.close(code);
    peer.socket.end();
    await closed;
  }
});

scenario('w3c: a Blob', async (stage) => {
  const { socket, peer, line } = await opened(stage);
  stage.attempt(line, 'send', () => socket.send(new Blob(['of ', 'parts'])));
  const bytes = Buffer.from('bytes');
  socket.send(bytes);
  bytes.fill('x');
  socket.send('text');
  socket.close();
  for (const frame of await peer.rest()) stage.log('peer')('got', ...shown(frame));
});

scenario('w3c: as a superclass of the old kind', async (stage) => {
  const { url, next: nextPeer } = await stage.rawServer();
  function Socket(...values) {
    stage.lib.w3cwebsocket.apply(this, values);
  }
  Object.setPrototypeOf(Socket.prototype, stage.lib.w3cwebsocket.prototype);
  const socket = new Socket(url);
  const line = watch(stage, socket);
  (await nextPeer()).accept();
  await next(socket, 'open');
  line('state', socket.readyState, socket instanceof stage.lib.w3cwebsocket);
});

scenario('w3c: listeners', async (stage) => {
  const { socket, peer, line } = await opened(stage);
  const one = (event) => line('one', event.data);
  const two = (event) => {
    line('two', event.data);
    if (event.data === 'stop') event.stopImmediatePropagation();
  };
  const three = (event) => line('three', event.data);
  for (const listener of [one, two, three, one]) socket.addEventListener('message', listener);
  peer.send({ payload: 'first' });
  await next(socket, 'message');
  socket.removeEventListener('message', one);
  peer.send({ payload: 'stop' });
  await stage.settle();
  socket.onmessage = null;
  peer.send({ payload: 'third' });
  await stage.settle();
  stage.attempt(line, 'dispatchEvent', () => socket.dispatchEvent({ type: 'message', data: 'by hand' }));
  stage.attempt(line, 'dispatchEvent of nothing', () => socket.dispatchEvent({}));
});

scenario('w3c: the request', async (stage) => {
  const { url, next: nextPeer } = await stage.rawServer();
  new stage.lib.w3cwebsocket(
    `${url}/x?y`,
    'chat',
    'http://o.example',
    { 'X-A': 'b' },
    { path: '/no' },
    {
      webSocketVersion: 8,
      assembleFragments: false,
    },
  );
  const { request } = await nextPeer();
  stage.log('request')('head', request.replace(/(sec-websocket-key: ).{24}/i, '$1KEY'));
});

scenario('w3c: assembleFragments cannot be turned off', async (stage) => {
  const { socket, peer } = await opened(stage, { config: { assembleFragments: false } });
  peer.send({ payload: 'a', fin: false });
  peer.send({ opcode: 'continuation', payload: 'b' });
  await next(socket, 'message');
});

scenario('w3c: no url', (stage) => {
  stage.attempt(stage.log('w3c'), 'constructor', () => new stage.lib.w3cwebsocket('nonsense'));
});

scenario('w3c: a handler that throws', async (stage) => {
  const { socket, peer, line } = await opened(stage);
  socket.onmessage = (event) => {
    line('message', event.data);
    throw new Error('by the handler');
  };
  peer.send({ payload: 'one' });
  peer.send({ payload: 'two' });
  await stage.settle();
  line('readyState', socket.readyState);
});
