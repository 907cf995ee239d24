'use strict';
// What is published, packed here and installed with npm into an empty directory, from a registry of
// the test's own and without a compiler.
const assert = require('node:assert/strict');
const { execFile, execFileSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const { tmpdir } = require('node:os');
const { delimiter, dirname, join } = require('node:path');
const { test, before, after } = require('node:test');
const { promisify } = require('node:util');
const { target } = require('../lib/native.js');
const targets = require('../scripts/targets.js');
const { version } = require('../package.json');

const ROOT = join(__dirname, '..');
const OURS = `@towline/${target()}`;
let directory;
let registry;
const tarballs = new Map();
const manifests = new Map();

function pack(name) {
  const from = join(ROOT, 'npm', name);
  const [{ filename }] = JSON.parse(
    execFileSync('npm', ['pack', '--json', '--pack-destination', directory, from], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }),
  );
  tarballs.set(name, fs.readFileSync(join(directory, filename.replace('@', '').replace('/', '-'))));
  manifests.set(name, JSON.parse(fs.readFileSync(join(from, 'package.json'))));
}

function packument(name, base) {
  const manifest = manifests.get(name);
  const tarball = tarballs.get(name);
  const dist = {
    tarball: `${base}/-/${name}`,
    ...(tarball && { integrity: `sha512-${createHash('sha512').update(tarball).digest('base64')}` }),
  };
  return { name, 'dist-tags': { latest: version }, versions: { [version]: { ...manifest, dist } } };
}

before(() => {
  directory = fs.mkdtempSync(join(tmpdir(), 'towline-install-'));
  const release = (...values) =>
    execFileSync(process.execPath, [join(ROOT, 'scripts/release.js'), ...values]);
  release('package');
  release('platform');
  pack('towline');
  pack(OURS);
  for (const [name, { os, cpu, libc }] of Object.entries(targets)) {
    const full = `@towline/${name}`;
    if (full !== OURS)
      manifests.set(full, { name: full, version, os: [os], cpu: [cpu], ...(libc && { libc: [libc] }) });
  }
  registry = http
    .createServer((request, response) => {
      const name = decodeURIComponent(request.url.slice(1));
      const base = `http://${request.headers.host}`;
      if (name.startsWith('-/')) response.end(tarballs.get(name.slice(2)));
      else if (manifests.has(name)) response.end(JSON.stringify(packument(name, base)));
      else response.writeHead(404).end('{}');
    })
    .listen(0, '127.0.0.1');
  return new Promise((resolve) => {
    registry.on('listening', resolve);
  });
});

after(() => {
  registry.close();
  fs.rmSync(directory, { recursive: true, force: true });
});

/** The directories of node and npm, and no compiler. */
const PATH = [dirname(process.execPath), '/usr/bin', '/bin'].join(delimiter);

async function install(name, ...options) {
  const into = join(directory, name);
  fs.mkdirSync(into);
  fs.writeFileSync(join(into, 'package.json'), '{ "private": true }');
  const arguments_ = [
    'install',
    'towline',
    '--no-audit',
    '--no-fund',
    '--ignore-scripts',
    `--registry=http://127.0.0.1:${registry.address().port}`,
    `--cache=${join(directory, `cache-${name}`)}`,
    ...options,
  ];
  await promisify(execFile)('npm', arguments_, {
    cwd: into,
    env: { ...process.env, PATH },
    timeout: 120_000,
  });
  return into;
}

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
  const into = await install('with');
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
  const into = await install('without', '--omit=optional');
  assert.throws(
    () => execFileSync(process.execPath, ['-e', use], { cwd: into, encoding: 'utf8', stdio: 'pipe' }),
    ({ stderr }) =>
      /ERR_NO_NATIVE_MODULE/.test(stderr) && stderr.includes(OURS) && /--omit=optional/.test(stderr),
  );
});

test('each tarball has the licences, what npm is to know, and nothing for debuggers', () => {
  for (const name of ['towline', OURS]) {
    const files = fs.readdirSync(join(ROOT, 'npm', name));
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
  // 1 MB is what it takes; with symbols it is several.
  assert.ok(tarballs.get(OURS).length < 1 << 20, `${tarballs.get(OURS).length} bytes packed`);
  assert.ok(fs.statSync(join(ROOT, 'npm', OURS, 'towline.node')).size < 2 << 20);
});
