'use strict';
// `npm test`: every *.test.js below this directory, with Node's own test runner. Arguments choose
// among them by a part of the path: `npm test -- differential`.
const { spawnSync } = require('node:child_process');
const { readdirSync } = require('node:fs');
const { join, relative } = require('node:path');

function tests(directory) {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : tests(path);
    return entry.name.endsWith('.test.js') || entry.name.endsWith('.test.mjs') ? [path] : [];
  });
}

const wanted = process.argv.slice(2);
const files = tests(__dirname)
  .filter((path) => !wanted.length || wanted.some((part) => relative(__dirname, path).includes(part)))
  .sort();
if (!files.length) {
  console.error(`no test has ${wanted.join(' or ')} in its path`);
  process.exit(2);
}
// In children of tests too. Quotes, as the path may have blanks.
const preloads = ['warnings.js', 'leaks.js'].map(
  (file) => `--require ${JSON.stringify(join(__dirname, 'support', file))}`,
);
const NODE_OPTIONS = [process.env.NODE_OPTIONS, ...preloads].filter(Boolean).join(' ');
const { status } = spawnSync(process.execPath, ['--test', ...files], {
  stdio: 'inherit',
  env: { ...process.env, NODE_OPTIONS },
});
process.exit(status ?? 1);
