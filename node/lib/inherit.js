'use strict';

const { EventEmitter } = require('events');

/**
 * Gives a constructor the methods of classes, and makes it an EventEmitter. The constructors are
 * plain functions, as programs inherit from them the old way: `WebSocketServer.call(this)`.
 */
module.exports = function inherit(constructor, ...classes) {
  Object.setPrototypeOf(constructor, EventEmitter);
  constructor.prototype = Object.create(EventEmitter.prototype, {
    constructor: { value: constructor, writable: true, configurable: true },
  });
  for (const methods of classes) {
    const descriptors = Object.getOwnPropertyDescriptors(methods.prototype);
    delete descriptors.constructor;
    Object.defineProperties(constructor.prototype, descriptors);
  }
  return constructor;
};
