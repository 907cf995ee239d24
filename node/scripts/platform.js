'use strict';

// Makes the package of this platform's prebuilt module, ready for `npm publish`:
//
//   npm run build && node scripts/platform.js      → npm/@towline/linux-x64-gnu
//
// The release that publishes those lists them as `optionalDependencies` of `towline`; npm then
// installs the one that fits, and `lib/native.js` finds it.

const fs = require('node:fs');
const path = require('node:path');

const { built, target } = require('../lib/native');
const { license, version } = require('../package.json');

const name = `@towline/${target()}`;
const directory = path.join(__dirname, '..', 'npm', name);
const libc = { gnu: 'glibc', musl: 'musl' }[target().split('-')[2]];

fs.mkdirSync(directory, { recursive: true });
fs.copyFileSync(built, path.join(directory, 'towline.node'));
const manifest = {
  name,
  version,
  description: `The native module of towline for ${target()}`,
  license,
  main: 'towline.node',
  files: ['towline.node'],
  os: [process.platform],
  cpu: [process.arch],
  ...(libc && { libc: [libc] }),
  engines: { node: '>=18' },
};
fs.writeFileSync(path.join(directory, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
console.log(path.relative(process.cwd(), directory));
