'use strict';

// What programs have found in `websocket/lib/utils`.

module.exports = {
  noop() {},
  extend(target, source) {
    for (const name in source) target[name] = source[name];
  },
  eventEmitterListenerCount: (emitter, event) => emitter.listenerCount(event),
  bufferAllocUnsafe: Buffer.allocUnsafe,
  bufferFromString: Buffer.from,
};
