'use strict';
// Every path that programs import npm `websocket` by is there, and is the same thing.
const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { readdirSync, readFileSync } = require('node:fs');
const { dirname, join } = require('node:path');
const { test } = require('node:test');
const vm = require('node:vm');
const towline = require('towline');

const LIB = join(dirname(require.resolve('websocket/package.json')), 'lib');
const PATHS = [
  'index.js',
  ...readdirSync(LIB)
    .filter((name) => name.endsWith('.js'))
    .map((name) => `lib/${name}`),
];

for (const path of PATHS) {
  test(`${path} can be imported, with its ending and without`, () => {
    const ours = require(`towline/${path}`);
    const theirs = require(`websocket/${path}`);
    assert.equal(typeof ours, typeof theirs);
    if (typeof theirs === 'function') assert.equal(ours.name, theirs.name);
    else if (typeof theirs === 'object') {
      const missing = Object.keys(theirs).filter((name) => !(name in ours) && name !== 'BufferingLogger');
      assert.deepEqual(missing, []);
    }
    if (path !== 'index.js') assert.equal(require(`towline/${path.replace(/\.js$/, '')}`), ours);
  });
}

test('a path leads to what the package exports', () => {
  assert.equal(require('towline/lib/WebSocketServer'), towline.server);
  assert.equal(require('towline/lib/W3CWebSocket'), towline.w3cwebsocket);
  assert.equal(require('towline/lib/WebSocketConnection'), towline.connection);
  assert.equal(require('towline/index.js'), towline);
  assert.equal(require('towline/package.json').name, 'towline');
});

test('an ES module can import the names by the path of the file', async () => {
  const module = await import('towline/index.js');
  assert.deepEqual(
    Object.keys(towline).filter((name) => module[name] !== towline[name]),
    [],
  );
});

test('no file differs from another by its case alone', () => {
  const names = readdirSync(join(__dirname, '../lib')).map((name) => name.toLowerCase());
  assert.equal(new Set(names).size, names.length);
});

test('no specifier that older loaders refuse', () => {
  const root = join(__dirname, '..');
  const files = [
    'index.js',
    'index.mjs',
    'index.d.ts',
    'index.d.mts',
    ...readdirSync(join(root, 'lib')).map((name) => join('lib', name)),
  ];
  for (const file of files) {
    assert.doesNotMatch(readFileSync(join(root, file), 'utf8'), /['"]node:/, file);
  }
});

test('in browsers, no protocols ask for none, however that is said', () => {
  const calls = [];
  class WebSocket {
    static CONNECTING = 0;

    static OPEN = 1;

    static CLOSING = 2;

    static CLOSED = 3;

    constructor(...values) {
      calls.push(values);
    }
  }
  const module = { exports: {} };
  const context = vm.createContext({ WebSocket, module, require: () => '0' });
  vm.runInContext(readFileSync(join(__dirname, '../lib/browser.js'), 'utf8'), context);
  const { w3cwebsocket } = module.exports;
  for (const protocols of [undefined, null, '']) {
    assert.ok(new w3cwebsocket('ws://localhost/', protocols) instanceof w3cwebsocket);
  }
  new w3cwebsocket('ws://localhost/', ['chat']);
  assert.deepEqual(
    calls.map((values) => [...values]),
    [['ws://localhost/'], ['ws://localhost/'], ['ws://localhost/'], ['ws://localhost/', ['chat']]],
  );
  assert.equal(w3cwebsocket.OPEN, 1);
});

test('classes of the old kind inherit from everything', () => {
  function Frame() {
    towline.frame.call(this);
  }
  Object.setPrototypeOf(Frame.prototype, towline.frame.prototype);
  const frame = new Frame();
  Object.assign(frame, { fin: true, opcode: 1, binaryPayload: Buffer.from('x') });
  assert.deepEqual(frame.toBuffer(), Buffer.from([0x81, 1, 0x78]));
  for (const name of ['server', 'client', 'router']) {
    function Own() {
      towline[name].call(this);
    }
    Object.setPrototypeOf(Own.prototype, towline[name].prototype);
    assert.ok(new Own() instanceof towline[name]);
  }
});

function run(...options) {
  const script = `require(${JSON.stringify(join(__dirname, '..'))})`;
  const { status, stderr } = spawnSync(process.execPath, [...options, '-e', script], { encoding: 'utf8' });
  return { status, stderr };
}

test('where addons are forbidden, an error says so, and how they are allowed', () => {
  const { status, stderr } = run('--no-addons');
  assert.equal(status, 1);
  assert.match(stderr, /ERR_ADDONS_FORBIDDEN/);
  assert.match(stderr, /--no-addons/);
});

const permission = process.allowedNodeEnvironmentFlags.has('--permission')
  ? '--permission'
  : '--experimental-permission';

test(
  'under the permission model as well',
  { skip: !process.allowedNodeEnvironmentFlags.has(permission) },
  () => {
    const { status, stderr } = run(permission, '--allow-fs-read=*');
    assert.equal(status, 1);
    assert.match(stderr, /--allow-addons/);
    assert.equal(run(permission, '--allow-fs-read=*', '--allow-addons').status, 0);
  },
);
