'use strict';
// Names that every object of JavaScript has are names like any others, wherever a peer or a program
// can put a name.
const assert = require('node:assert/strict');
const { once } = require('node:events');
const http = require('node:http');
const { test } = require('node:test');
const towline = require('./support/library.js');
const { answer, listen } = require('./support/listening.js');

const NAMES = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf'];

async function serve(t, config = {}) {
  const httpServer = http.createServer();
  const port = await listen(t, httpServer);
  return { port, server: new towline.server({ httpServer, ...config }) };
}

/** No object may have anything new, nor behave otherwise. */
function isClean() {
  assert.deepEqual(Object.keys(Object.prototype), []);
  assert.equal({}.polluted, undefined);
  assert.equal(typeof {}.toString, 'function');
  assert.equal(String({}), '[object Object]');
}

for (const name of NAMES) {
  test(`a request has ${name} as each kind of name`, async (t) => {
    const { port, server } = await serve(t, { perMessageDeflate: true });
    const seen = once(server, 'request');
    const answering = answer(port, {
      path: `/${name}?${name}=polluted&${name}[polluted]=1`,
      headers: {
        [name]: 'polluted',
        Cookie: `${name}=polluted; a=${name}`,
        'Sec-WebSocket-Protocol': name,
        'Sec-WebSocket-Extensions': `${name}; ${name}=polluted, permessage-deflate; ${name}`,
      },
    });
    const [request] = await seen;
    assert.equal(request.resource, `/${name}?${name}=polluted&${name}[polluted]=1`);
    assert.equal(request.resourceURL.pathname, `/${name}`);
    assert.ok(Object.hasOwn(request.resourceURL.query, name), 'its own property, not that of all');
    assert.deepEqual(request.cookies, [
      { name, value: 'polluted' },
      { name: 'a', value: name },
    ]);
    assert.deepEqual(request.requestedProtocols, [name.toLowerCase()]);
    const extension = request.requestedExtensions[0];
    assert.equal(extension.name, name.toLowerCase());
    assert.deepEqual(extension.params, [{ name: name.toLowerCase(), value: 'polluted' }]);
    // Neither is negotiated: an unknown extension, and an unknown parameter of a known one.
    const connection = request.accept(name, null, [{ name, value: 'polluted' }]);
    // In lower case, as WebSocket-Node has it.
    assert.equal(connection.protocol, name.toLowerCase());
    const { head, status } = await answering;
    assert.equal(status, 101);
    assert.match(head, new RegExp(`^Set-Cookie: ${name}=polluted`, 'm'));
    assert.doesNotMatch(head, /^Sec-WebSocket-Extensions:/m);
    isClean();
  });

  test(`an event and a mounted path have the name ${name}`, async (t) => {
    const { port, server } = await serve(t);
    const router = new towline.router({ server });
    const accepted = [];
    router.mount(`/${name}`, name, (request) => accepted.push(request.accept(request.origin)));
    const got = [];
    server.on(name, (value) => got.push(value));
    server.emit(name, 'polluted');
    assert.deepEqual(got, ['polluted']);
    const { status } = await answer(port, {
      path: `/${name}`,
      headers: { 'Sec-WebSocket-Protocol': name },
    });
    assert.equal(status, 101);
    assert.equal(accepted[0].protocol, name.toLowerCase());
    const connection = accepted[0];
    connection.on(name, (value) => got.push(value));
    connection.emit(name, 'again');
    assert.deepEqual(got, ['polluted', 'again']);
    // A path that nobody has mounted is not found because all objects have it.
    const other = NAMES[(NAMES.indexOf(name) + 1) % NAMES.length];
    assert.equal((await answer(port, { path: `/${other}` })).status, 404);
    isClean();
  });
}
