'use strict';
// Values as text that can be compared between two processes and two libraries.
const { createHash } = require('node:crypto');
const { EventEmitter } = require('node:events');

function bytes(kind, data) {
  const view = Buffer.from(data.buffer ?? data, data.byteOffset ?? 0, data.byteLength);
  if (view.length <= 64) return `${kind}(${view.toString('hex')})`;
  const hash = createHash('sha1').update(view).digest('hex').slice(0, 12);
  return `${kind}(${view.length} bytes, sha1 ${hash})`;
}

/** Makes a function that renders values; `lib` is what is under test, `hidden` what varies. */
function renderer(lib, hidden) {
  const classes = Object.entries(lib).filter(([, value]) => typeof value === 'function');
  const text = (value) => {
    let shown = value;
    for (const [secret, name] of hidden) shown = shown.split(secret).join(name);
    return shown.length > 600 ? bytes('text', Buffer.from(shown)) : shown;
  };

  function object(value, depth) {
    const own = classes.find(([, type]) => value instanceof type);
    if (own) return `[${own[0]}]`;
    if (Buffer.isBuffer(value)) return bytes('Buffer', value);
    if (value instanceof ArrayBuffer) return bytes('ArrayBuffer', value);
    if (ArrayBuffer.isView(value)) return bytes(value.constructor.name, value);
    if (value instanceof Error) {
      const code = value.code === undefined ? '' : ` ${value.code}`;
      return `${value.constructor.name}${code}: ${text(value.message)}`;
    }
    if (Array.isArray(value)) return value.map((item) => render(item, depth + 1));
    if (value instanceof RegExp || value instanceof Date) return String(value);
    if (value instanceof EventEmitter || depth > 4) return `[${value.constructor.name}]`;
    const entries = Object.entries(value).map(([key, item]) => [key, render(item, depth + 1)]);
    return Object.fromEntries(entries);
  }

  function render(value, depth = 0) {
    if (value === undefined) return '[undefined]';
    if (typeof value === 'function') return '[function]';
    if (typeof value === 'string') return text(value);
    if (typeof value === 'object' && value !== null) return object(value, depth);
    if (typeof value === 'number' && !Number.isFinite(value)) return `[${value}]`;
    return value;
  }

  return (value) => JSON.stringify(render(value));
}

module.exports = { renderer };
