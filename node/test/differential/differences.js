'use strict';
// Where a program can tell this package from npm `websocket`, on purpose. Each title stands in
// COMPATIBILITY.md, with its reason; `theirs` and `ours` are the lines that only one log has.

/** What holds in every scenario, and is taken out of the lines. */
const general = [{ title: 'Errors have a code.' }];

const OUR_CODES = /Error ERR_(CLOSED|HANDSHAKE|HTTP_RESPONSE|INVALID_(ARG_(TYPE|VALUE)|HANDSHAKE_OPTION|SEND|URL)|REQUEST_GONE): /;
const withoutOurCodes = (line) => line.replace(OUR_CODES, 'Error: ');

const list = [];

module.exports = { general, list, withoutOurCodes };
