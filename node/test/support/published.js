'use strict';
// The tarballs that are published, in a registry of the test's own, and installed from there with npm
// and without a compiler.
const { execFile, execFileSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const { tmpdir } = require('node:os');
const { delimiter, dirname, join } = require('node:path');
const { promisify } = require('node:util');
const { target } = require('../../lib/native.js');
const targets = require('../../scripts/targets.js');
const { version } = require('../../package.json');

const ROOT = join(__dirname, '../..');
/** The package of this platform's module. */
const OURS = `@towline/${target()}`;
/** The directories of node and npm, and no compiler. */
const PATH = [dirname(process.execPath), '/usr/bin', '/bin'].join(delimiter);

class Published {
  /** Packs the package and the module of this platform, and serves them. */
  static async start() {
    const published = new Published();
    await published.listen();
    return published;
  }

  constructor() {
    this.directory = fs.mkdtempSync(join(tmpdir(), 'towline-install-'));
    this.tarballs = new Map();
    this.manifests = new Map();
    for (const what of ['package', 'platform']) {
      execFileSync(process.execPath, [
        join(ROOT, 'scripts/release.js'),
        `--to=${join(this.directory, 'npm')}`,
        what,
      ]);
    }
    this.pack('towline');
    this.pack(OURS);
    for (const [name, { os, cpu, libc }] of Object.entries(targets)) {
      const full = `@towline/${name}`;
      const manifest = { name: full, version, os: [os], cpu: [cpu], ...(libc && { libc: [libc] }) };
      if (full !== OURS) this.manifests.set(full, manifest);
    }
  }

  /** The directory that is packed. */
  released(name) {
    return join(this.directory, 'npm', name);
  }

  pack(name) {
    const from = this.released(name);
    const [{ filename }] = JSON.parse(
      execFileSync('npm', ['pack', '--json', '--pack-destination', this.directory, from], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      }),
    );
    const path = join(this.directory, filename.replace('@', '').replace('/', '-'));
    this.tarballs.set(name, fs.readFileSync(path));
    this.manifests.set(name, JSON.parse(fs.readFileSync(join(from, 'package.json'))));
  }

  packument(name, base) {
    const manifest = this.manifests.get(name);
    const tarball = this.tarballs.get(name);
    const dist = {
      tarball: `${base}/-/${name}`,
      ...(tarball && { integrity: `sha512-${createHash('sha512').update(tarball).digest('base64')}` }),
    };
    return { name, 'dist-tags': { latest: version }, versions: { [version]: { ...manifest, dist } } };
  }

  listen() {
    this.registry = http.createServer((request, response) => {
      const name = decodeURIComponent(request.url.slice(1));
      const base = `http://${request.headers.host}`;
      if (name.startsWith('-/')) response.end(this.tarballs.get(name.slice(2)));
      else if (this.manifests.has(name)) response.end(JSON.stringify(this.packument(name, base)));
      else response.writeHead(404).end('{}');
    });
    return new Promise((resolve) => {
      this.registry.listen(0, '127.0.0.1', resolve);
    });
  }

  /** Installs the package into a new directory, and returns its path. */
  async install(name, ...options) {
    const into = join(this.directory, name);
    fs.mkdirSync(into);
    fs.writeFileSync(join(into, 'package.json'), '{ "private": true }');
    const values = [
      'install',
      'towline',
      '--no-audit',
      '--no-fund',
      '--ignore-scripts',
      `--registry=http://127.0.0.1:${this.registry.address().port}`,
      `--cache=${join(this.directory, `cache-${name}`)}`,
      ...options,
    ];
    await promisify(execFile)('npm', values, {
      cwd: into,
      env: { ...process.env, PATH },
      timeout: 120_000,
    });
    return into;
  }

  stop() {
    this.registry.close();
    fs.rmSync(this.directory, { recursive: true, force: true });
  }
}

module.exports = { OURS, Published, ROOT };
