'use strict';

const failure = require('./errors');

function checkKeepalive(config) {
  if (!config.keepalive || config.useNativeKeepalive) return;
  if (typeof config.keepaliveInterval !== 'number') {
    throw failure(
      'ERR_INVALID_ARG_TYPE',
      'keepaliveInterval must be specified and numeric if keepalive is true.',
    );
  }
  if (config.dropConnectionOnKeepaliveTimeout && typeof config.keepaliveGracePeriod !== 'number') {
    throw failure(
      'ERR_INVALID_ARG_TYPE',
      'keepaliveGracePeriod  must be specified and numeric if ' + 'dropConnectionOnKeepaliveTimeout is true.',
    );
  }
}

/** What the native hub is told: `src/options.rs`. */
function optionsOf(config) {
  const asks = config.keepalive && !config.useNativeKeepalive;
  const maxReceivedFrameSize = Number(config.maxReceivedFrameSize ?? Infinity);
  return {
    maxReceivedFrameSize,
    // This has always been a limit of messages in several frames alone; for the core it is one of
    // all. So a message may be as large as a frame may be.
    maxReceivedMessageSize: Math.max(maxReceivedFrameSize, Number(config.maxReceivedMessageSize ?? Infinity)),
    maxReceivedFragments: Number(config.maxReceivedFragments ?? 0x10000),
    fragmentOutgoingMessages: Boolean(config.fragmentOutgoingMessages),
    fragmentationThreshold: Number(config.fragmentationThreshold ?? 0x4000),
    assembleFragments: Boolean(config.assembleFragments),
    keepaliveInterval: asks ? config.keepaliveInterval : undefined,
    keepaliveGracePeriod:
      asks && config.dropConnectionOnKeepaliveTimeout ? config.keepaliveGracePeriod : undefined,
    closeTimeout: Number(config.closeTimeout ?? 5000),
  };
}

module.exports = { checkKeepalive, optionsOf };
