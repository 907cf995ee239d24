'use strict';

const { native } = require('./hub');

/**
 * What `perMessageDeflate`, as the package `ws` spells it, asks of the core; nothing, if it is off.
 * Frames are handed out without compression: one of a compressed message means nothing by itself.
 */
function deflateOptions({ assembleFragments, perMessageDeflate }, isServer) {
  if (!perMessageDeflate || !assembleFragments) return undefined;
  const options = perMessageDeflate === true ? {} : perMessageDeflate;
  const server = {
    contextTakeover: not(options.serverNoContextTakeover),
    windowBits: bits(options.serverMaxWindowBits),
  };
  const client = {
    contextTakeover: not(options.clientNoContextTakeover),
    windowBits: bits(options.clientMaxWindowBits),
  };
  const [send, receive] = isServer ? [server, client] : [client, server];
  return {
    threshold: options.threshold,
    level: options.zlibDeflateOptions?.level,
    sendContextTakeover: send.contextTakeover,
    sendWindowBits: send.windowBits,
    receiveContextTakeover: receive.contextTakeover,
    receiveWindowBits: receive.windowBits,
  };
}

function not(value) {
  return value === undefined ? undefined : !value;
}

/** A client may say `true`, for any. */
function bits(value) {
  return typeof value === 'number' ? value : undefined;
}

/** The extensions in a header, in lower case. */
function offeredExtensions(header) {
  if (!header) return [];
  return native.offeredExtensions(header.toLowerCase()).map(({ name, params }) => ({
    name,
    // A parameter without a value has one that is undefined.
    params: params.map((param) => ({ name: param.name, value: param.value })),
  }));
}

module.exports = { deflateOptions, offeredExtensions };
