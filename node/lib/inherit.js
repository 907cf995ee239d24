'use strict';

const { EventEmitter } = require('events');

/**
 * Gives a constructor the methods of a class, and makes it an EventEmitter. The constructors are
 * plain functions, as programs inherit from them the old way: `WebSocketServer.call(this)`.
 */
module.exports = function inherit(constructor, methods) {
  const descriptors = Object.getOwnPropertyDescriptors(methods.prototype);
  delete descriptors.constructor;
  Object.setPrototypeOf(constructor, EventEmitter);
  constructor.prototype = Object.create(EventEmitter.prototype, {
    constructor: { value: constructor, writable: true, configurable: true },
    ...descriptors,
  });
  return constructor;
};
