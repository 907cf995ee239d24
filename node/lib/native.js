'use strict';

// The native half: a prebuilt package for this platform, or what `npm install` has built.

const { arch, platform } = process;

const path = require('path');

/** `linux-x64-gnu`, `darwin-arm64`, `win32-x64-msvc`, … */
function target() {
  if (platform === 'win32') return `${platform}-${arch}-msvc`;
  if (platform !== 'linux') return `${platform}-${arch}`;
  // Only the header is wanted, and looking up the names of open connections takes time.
  const { excludeNetwork } = process.report;
  process.report.excludeNetwork = true;
  const { glibcVersionRuntime } = process.report.getReport().header;
  process.report.excludeNetwork = excludeNetwork;
  return `${platform}-${arch}-${glibcVersionRuntime ? 'gnu' : 'musl'}`;
}

/** Where `npm install` puts what it builds. */
const built = path.join(__dirname, '..', 'towline.node');

function load() {
  const prebuilt = `@towline/${target()}`;
  try {
    return require(prebuilt);
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error;
  }
  try {
    return require(built);
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error;
    throw new Error(
      `towline has no native module for ${target()}: neither ${prebuilt} is installed, ` +
        `nor has ${built} been built (npm rebuild towline)`,
      { cause: error },
    );
  }
}

module.exports = { built, load, target };
