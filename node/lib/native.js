'use strict';

// The native half: a prebuilt package for this platform, or what `npm install` has built.

const path = require('path');

const failure = require('./errors');

const { arch, platform } = process;

/** `linux-x64-gnu`, `darwin-arm64`, `win32-x64-msvc`, … */
function target() {
  if (platform === 'win32') return `${platform}-${arch}-msvc`;
  if (platform !== 'linux') return `${platform}-${arch}`;
  return `${platform}-${arch}-${isMusl() ? 'musl' : 'gnu'}`;
}

function isMusl() {
  if (typeof process.report?.getReport !== 'function') return false;
  // Only the header is wanted, and looking up the names of open connections takes time.
  const { excludeNetwork } = process.report;
  process.report.excludeNetwork = true;
  const report = process.report.getReport();
  process.report.excludeNetwork = excludeNetwork;
  const { header } = typeof report === 'string' ? JSON.parse(report) : report;
  return !header.glibcVersionRuntime;
}

/** Where `npm install` puts what it builds. */
const built = path.join(__dirname, '..', 'towline.node');

const FORBIDDEN = new Set(['ERR_ACCESS_DENIED', 'ERR_DLOPEN_DISABLED']);

/** Whether a module is just not there. Anything else is a reason to stop. */
function isAbsent(error) {
  if (error.code === 'MODULE_NOT_FOUND') return true;
  if (!FORBIDDEN.has(error.code)) return false;
  const why = process.permission
    ? 'the permission model forbids addons; --allow-addons allows them'
    : 'addons are forbidden; start Node without --no-addons';
  const forbidden = failure(
    'ERR_ADDONS_FORBIDDEN',
    `towline has a native module, and ${why} (${error.message})`,
  );
  forbidden.cause = error;
  throw forbidden;
}

function load() {
  const prebuilt = `@towline/${target()}`;
  try {
    return require(prebuilt);
  } catch (error) {
    if (!isAbsent(error)) throw error;
  }
  try {
    return require(built);
  } catch (error) {
    if (!isAbsent(error)) throw error;
    throw failure(
      'ERR_NO_NATIVE_MODULE',
      `towline has no native module for ${target()}. If this is a bundle, mark towline as external. ` +
        `Otherwise npm has not installed ${prebuilt}: it omits optional packages with --omit=optional, ` +
        'and if node_modules or the lockfile came from another platform; remove both and install again. ' +
        'For a platform without such a package, build the module from a clone of the repository, ' +
        `which takes Rust, and put it at ${built}`,
    );
  }
}

module.exports = { built, load, target };
