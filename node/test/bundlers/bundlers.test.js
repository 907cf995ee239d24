'use strict';
// Programs bundled as the README says, run where the package is installed. The bundlers are installed
// if the registry can be reached; on CI it must be.
const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const { createRequire } = require('node:module');
const { join } = require('node:path');
const { test, before, after } = require('node:test');
const fromNpm = require('../support/from-npm.js');
const { Published, ROOT } = require('../support/published.js');

const { directory, why } = fromNpm('bundlers', join(__dirname, 'package.json'));
const readme = fs.readFileSync(join(ROOT, 'README.md'), 'utf8').replace(/\s+/g, ' ');

const PROGRAMS = {
  'program.cjs': `
    const http = require('http');
    const { server: Server, w3cwebsocket: Socket } = require('towline');
    const Deep = require('towline/lib/WebSocketServer');
    const httpServer = http.createServer().listen(0, '127.0.0.1', () => {
      const server = new Deep({ httpServer, autoAcceptConnections: true });
      server.on('connect', (connection) => connection.on('message', (message) => connection.sendUTF(message.utf8Data)));
      const socket = new Socket('ws://127.0.0.1:' + httpServer.address().port);
      socket.onopen = () => socket.send(server instanceof Server ? 'ahoy' : 'two copies');
      socket.onmessage = ({ data }) => { console.log(data); socket.close(); httpServer.close(); };
    });`,
  'program.mjs': `
    import http from 'node:http';
    import towline, { connect } from 'towline';
    const httpServer = http.createServer().listen(0, '127.0.0.1', async () => {
      const server = new towline.server({ httpServer, autoAcceptConnections: true });
      server.on('connect', (connection) => connection.on('message', (message) => connection.sendUTF(message.utf8Data)));
      const connection = await connect('ws://127.0.0.1:' + httpServer.address().port);
      connection.send('ahoy');
      for await (const message of connection) { console.log(message.utf8Data); break; }
      connection.close();
      httpServer.close();
    });`,
};

const BUNDLERS = {
  esbuild(entry, outfile) {
    const [, line] = /`esbuild ([^`]+)`/.exec(readme);
    const program = join(directory, 'node_modules/esbuild/bin/esbuild');
    execFileSync(
      process.execPath,
      [program, entry, ...line.split(' '), `--outfile=${outfile}`, '--log-level=warning'],
      { stdio: 'inherit' },
    );
  },
  webpack(entry, outfile) {
    const [, line] = /`(target: 'node', [^`]+)` for webpack/.exec(readme);
    return webpack(entry, outfile, new Function(`return { ${line} }`)());
  },
};

function webpack(entry, outfile, options) {
  const compile = createRequire(join(directory, 'index.js'))('webpack');
  const output = { path: join(outfile, '..'), filename: outfile.split('/').at(-1) };
  return new Promise((resolve, reject) => {
    compile({ mode: 'production', entry, output, ...options }, (error, stats) => {
      if (error) reject(error);
      else resolve(stats.toString());
    });
  });
}

let published;
let into;

before(async () => {
  if (why) return;
  published = await Published.start();
  into = await published.install('bundled');
  for (const [name, text] of Object.entries(PROGRAMS)) fs.writeFileSync(join(into, name), text);
});

after(() => published?.stop());

const run = (file) =>
  execFileSync(process.execPath, [file], { cwd: into, encoding: 'utf8', stdio: 'pipe' }).trim();

for (const [bundler, bundle] of Object.entries(BUNDLERS)) {
  for (const name of Object.keys(PROGRAMS)) {
    test(`${bundler} bundles ${name}`, { skip: why }, async () => {
      const outfile = join(into, `out/${bundler}-${name}.cjs`);
      const told = await bundle(join(into, name), outfile);
      assert.ok(fs.statSync(outfile).size < 16 << 10, 'the package is in the bundle');
      assert.equal(run(outfile), 'ahoy', told);
    });
  }
}

test('a bundle that has the package in it says what to do', { skip: why }, async () => {
  const outfile = join(into, 'out/whole.cjs');
  await webpack(join(into, 'program.cjs'), outfile, { target: 'node' });
  assert.throws(
    () => run(outfile),
    ({ stderr }) => /ERR_NO_NATIVE_MODULE/.test(stderr) && /bundle, .*external/.test(stderr),
  );
});
