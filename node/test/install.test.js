'use strict';
// What is published, packed here and installed with npm into an empty directory.
const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const { join } = require('node:path');
const { test, before, after } = require('node:test');
const { target } = require('../lib/native.js');
const targets = require('../scripts/targets.js');
const { version } = require('../package.json');
const { OURS, Published } = require('./support/published.js');

let published;

before(async () => {
  published = await Published.start();
});

after(() => published.stop());

const use = `
  const http = require('http');
  const { server: Server, w3cwebsocket: Socket } = require('towline');
  const httpServer = http.createServer().listen(0, '127.0.0.1', () => {
    const server = new Server({ httpServer, autoAcceptConnections: true });
    server.on('connect', (connection) => connection.on('message', (message) => connection.sendUTF(message.utf8Data)));
    const socket = new Socket('ws://127.0.0.1:' + httpServer.address().port);
    socket.onopen = () => socket.send('ahoy');
    socket.onmessage = ({ data }) => { console.log(data); socket.close(); httpServer.close(); };
  });
`;

test('the package is installed, with the module of this platform alone, and works', async () => {
  const into = await published.install('with');
  assert.deepEqual(fs.readdirSync(join(into, 'node_modules/@towline')), [target()]);
  const run = (...values) => execFileSync(process.execPath, values, { cwd: into, encoding: 'utf8' }).trim();
  assert.equal(run('-e', use), 'ahoy');
  assert.equal(
    run(
      '--input-type=module',
      '-e',
      'import { connect, version } from "towline"; console.log(typeof connect, version)',
    ),
    `function ${version}`,
  );
  assert.equal(run('-e', 'console.log(require("towline/lib/WebSocketServer").name)'), 'WebSocketServer');
});

test('without the module, an error says what to do', async () => {
  const into = await published.install('without', '--omit=optional');
  assert.throws(
    () => execFileSync(process.execPath, ['-e', use], { cwd: into, encoding: 'utf8', stdio: 'pipe' }),
    ({ stderr }) =>
      /ERR_NO_NATIVE_MODULE/.test(stderr) && stderr.includes(OURS) && /--omit=optional/.test(stderr),
  );
});

test('each tarball has the licences, what npm is to know, and nothing for debuggers', () => {
  const { manifests, tarballs } = published;
  for (const name of ['towline', OURS]) {
    const files = fs.readdirSync(published.released(name));
    for (const file of ['LICENSE-MIT', 'LICENSE-APACHE', 'README.md'])
      assert.ok(files.includes(file), `${name}: ${file}`);
    const manifest = manifests.get(name);
    for (const field of ['license', 'description', 'author', 'version'])
      assert.ok(manifest[field], `${name}: ${field}`);
    assert.equal(manifest.scripts, undefined);
  }
  const { optionalDependencies } = manifests.get('towline');
  assert.deepEqual(
    Object.keys(optionalDependencies),
    Object.keys(targets).map((name) => `@towline/${name}`),
  );
  assert.ok(Object.values(optionalDependencies).every((one) => one === version));
  assert.deepEqual(fs.readdirSync(published.released('towline')).sort(), [
    'COMPATIBILITY.md',
    'LICENSE-APACHE',
    'LICENSE-MIT',
    'README.md',
    'index.d.mts',
    'index.d.ts',
    'index.js',
    'index.mjs',
    'lib',
    'package.json',
  ]);
  assert.ok(fs.readdirSync(join(published.released('towline'), 'lib')).every((file) => file.endsWith('.js')));
  // 1 MB is what it takes; with symbols it is several.
  assert.ok(tarballs.get(OURS).length < 1 << 20, `${tarballs.get(OURS).length} bytes packed`);
  assert.ok(fs.statSync(join(published.released(OURS), 'towline.node')).size < 2 << 20);
});
