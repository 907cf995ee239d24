'use strict';
// Loaded into every process of the suite: one that Node has warned of something fails.
const EXPECTED = new Set([
  'ExperimentalWarning',
  // What --allow-addons gives up.
  'SecurityWarning',
]);
const seen = [];

process.on('warning', (warning) => {
  if (EXPECTED.has(warning.code) || EXPECTED.has(warning.name)) return;
  seen.push(warning);
  console.error(warning.stack);
});

process.on('exit', (code) => {
  if (seen.length > 0 && code === 0) process.exitCode = 70;
});
