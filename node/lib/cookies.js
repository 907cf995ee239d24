'use strict';

const failure = require('./errors');

/** The cookies of a `Cookie` header: name and value, or null for the value where there is none. */
function parse(header) {
  if (typeof header !== 'string' || header === '') return [];
  return header.split(/; */).map((pair) => {
    const equals = pair.indexOf('=');
    if (equals < 0) return { name: pair, value: null };
    let value = pair.slice(equals + 1).trim();
    if (value.startsWith('"')) value = value.slice(1, -1);
    return { name: pair.slice(0, equals).trim(), value: decode(value) };
  });
}

/** A value that is not URL-encoded stays as it is. */
function decode(value) {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

/* eslint-disable no-control-regex -- control characters are what is looked for */
const ILLEGAL_IN_NAME = /[\x00-\x20"(),/:-@[-^{}\x7f]/;
const ILLEGAL_IN_VALUE = /[^!#-+\--:<-[\]-~]/;
const ILLEGAL_IN_ATTRIBUTE = /[\x00-\x20;]/;

function refuse(message) {
  return failure('ERR_INVALID_HANDSHAKE_OPTION', message);
}

function check(part, value, illegal) {
  const found = illegal.exec(value);
  if (found !== null) throw refuse(`Illegal character ${found[0]} in cookie ${part}`);
}

/** What is taken out of names and values, rather than refused. */
function stripped(text) {
  return String(text).replace(/[\x00-\x20;]/g, '');
}

/** Each attribute that a cookie may have: how it is written, from its value. */
const ATTRIBUTES = {
  path(path) {
    check('path', path, ILLEGAL_IN_ATTRIBUTE);
    return `Path=${path}`;
  },
  domain(domain) {
    if (typeof domain !== 'string') throw refuse('Domain must be specified and must be a string.');
    check('domain', domain, ILLEGAL_IN_ATTRIBUTE);
    return `Domain=${domain.toLowerCase()}`;
  },
  expires(expires) {
    if (!(expires instanceof Date)) {
      throw refuse('Value supplied for cookie "expires" must be a vaild date object');
    }
    return `Expires=${expires.toUTCString()}`;
  },
  maxage(maxage) {
    const seconds = typeof maxage === 'string' ? parseInt(maxage, 10) : maxage;
    if (!(seconds > 0)) {
      throw refuse('Value supplied for cookie "maxage" must be a non-zero number');
    }
    return `Max-Age=${Math.round(seconds)}`;
  },
  secure(secure) {
    if (typeof secure !== 'boolean') {
      throw refuse('Value supplied for cookie "secure" must be of type boolean');
    }
    return 'Secure';
  },
  httponly(httponly) {
    if (typeof httponly !== 'boolean') {
      throw refuse('Value supplied for cookie "httponly" must be of type boolean');
    }
    return 'HttpOnly';
  },
};

/** The values of `Set-Cookie` headers. Throws for a cookie that can't be set. */
function format(cookies) {
  if (!Array.isArray(cookies)) {
    throw refuse('Value supplied for "cookies" argument must be an array.');
  }
  const seen = new Set();
  return cookies.map((cookie) => {
    if (!cookie.name || !cookie.value) {
      throw refuse('Each cookie to set must at least provide a "name" and "value"');
    }
    const name = stripped(cookie.name);
    const value = stripped(cookie.value);
    if (seen.has(name)) throw refuse('You may not specify the same cookie name twice.');
    seen.add(name);
    check('name', name, ILLEGAL_IN_NAME);
    check('value', /^"[^"]*"$/.test(value) ? value.slice(1, -1) : value, ILLEGAL_IN_VALUE);
    const attributes = Object.entries(ATTRIBUTES)
      .filter(([attribute]) => cookie[attribute])
      .map(([attribute, write]) => write(cookie[attribute]));
    return [`${name}=${value}`, ...attributes].join(';');
  });
}

module.exports = { format, parse };
