'use strict';

/** The first character of a name that RFC 7230 does not allow in a token, or nothing. */
function illegalIn(name) {
  return /[^!#$%&'*+\-.^_`|~0-9A-Za-z]/.exec(name)?.[0];
}

/** A list in a header: what stands between the commas. */
function listOf(value) {
  if (!value) return [];
  return value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

/** Nothing that a program puts into a header may end the line. */
function oneLine(value) {
  return String(value).replace(/[\r\n]/g, '');
}

module.exports = { illegalIn, listOf, oneLine };
