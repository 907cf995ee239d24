'use strict';
// Packages of npm's registry that are too large, or too many, for the package's own dependencies.
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const { join } = require('node:path');

const CACHE = join(__dirname, '../../node_modules/.cache');
const TIME = 600_000;

/**
 * Installs the dependencies of a package.json into a directory of the cache, without their scripts.
 * Calls `prepare` once they are there. Returns the directory, and why there is none if the registry
 * cannot be reached; on CI, that is an error.
 */
module.exports = function fromNpm(name, manifest, prepare) {
  const directory = join(CACHE, `towline-${name}`);
  fs.mkdirSync(directory, { recursive: true });
  const wanted = fs.readFileSync(manifest, 'utf8');
  const installed = join(directory, 'installed.json');
  if (fs.existsSync(installed) && fs.readFileSync(installed, 'utf8') === wanted) return { directory };
  fs.writeFileSync(join(directory, 'package.json'), wanted);
  const npm = (...values) => spawnSync('npm', values, { cwd: directory, encoding: 'utf8', timeout: TIME });
  const [one] = Object.keys(JSON.parse(wanted).dependencies);
  if (npm('view', one, 'version', '--fetch-retries=0').status !== 0) {
    const why = "npm's registry cannot be reached";
    if (process.env.CI === 'true') throw new Error(why);
    return { directory, why };
  }
  const { status, stderr } = npm(
    'install',
    '--ignore-scripts',
    '--legacy-peer-deps',
    '--no-audit',
    '--no-fund',
  );
  if (status !== 0) throw new Error(stderr);
  prepare?.(directory);
  fs.writeFileSync(installed, wanted);
  return { directory };
};
