'use strict';

// Makes what is published, ready for `npm publish`, below npm/, or DIRECTORY:
//
//   node scripts/release.js platform TARGET FILE   → npm/@towline/TARGET, of a module that was built
//   node scripts/release.js package                → npm/towline, which depends on all of those
//   node scripts/release.js --to=DIRECTORY …
//
// Without FILE, the module that `npm run build` has made; without TARGET, for this platform.

const fs = require('fs');
const path = require('path');

const { built, target } = require('../lib/native');
const manifest = require('../package.json');
const targets = require('./targets');

const root = path.join(__dirname, '..');
const values = process.argv.slice(2);
const to = values[0]?.startsWith('--to=') ? values.shift().slice('--to='.length) : path.join(root, 'npm');
const licences = ['LICENSE-MIT', 'LICENSE-APACHE'];

/** An empty directory, with the licences in it. */
function directoryOf(name) {
  const directory = path.join(to, name);
  fs.rmSync(directory, { recursive: true, force: true });
  fs.mkdirSync(directory, { recursive: true });
  for (const file of licences) {
    fs.copyFileSync(path.join(root, '..', file), path.join(directory, file));
  }
  return directory;
}

/** Where a workflow publishes from: npm compares it with the provenance of the package. */
function repository() {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: name } = process.env;
  return server && name && { type: 'git', url: `git+${server}/${name}.git`, directory: 'node' };
}

function finish(directory, contents) {
  const text = `${JSON.stringify(contents, null, 2)}\n`;
  fs.writeFileSync(path.join(directory, 'package.json'), text);
  console.log(path.relative(process.cwd(), directory));
}

const { version, license, author, engines } = manifest;

function platform(name = target(), file = built) {
  const { os, cpu, libc } = targets[name] ?? {};
  if (os === undefined) {
    throw new Error(`no target ${name}: ${Object.keys(targets).join(', ')}`);
  }
  const directory = directoryOf(`@towline/${name}`);
  fs.copyFileSync(file, path.join(directory, 'towline.node'));
  fs.writeFileSync(
    path.join(directory, 'README.md'),
    `# @towline/${name}\n\nThe native module of [towline](https://www.npmjs.com/package/towline) ` +
      `for ${name}. npm installs it with that package where it fits.\n`,
  );
  finish(directory, {
    name: `@towline/${name}`,
    version,
    description: `The native module of towline for ${name}`,
    license,
    author,
    repository: repository(),
    main: 'towline.node',
    files: ['towline.node', ...licences],
    os: [os],
    cpu: [cpu],
    ...(libc && { libc: [libc] }),
    engines,
    preferUnplugged: true,
  });
}

function main() {
  const directory = directoryOf('towline');
  for (const file of [...manifest.files, 'README.md']) {
    fs.cpSync(path.join(root, file), path.join(directory, file), { recursive: true });
  }
  const { scripts, devDependencies, ...rest } = manifest;
  const names = Object.keys(targets).map((name) => `@towline/${name}`);
  finish(directory, {
    ...rest,
    repository: repository(),
    files: [...manifest.files, ...licences],
    optionalDependencies: Object.fromEntries(names.map((name) => [name, version])),
  });
}

const [what, ...rest] = values;
if (what === 'platform') platform(...rest);
else if (what === 'package') main();
else {
  console.error('release.js [--to=DIRECTORY] platform [TARGET [FILE]] | package');
  process.exit(2);
}
