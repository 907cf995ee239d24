'use strict';

// The objects of `url.parse()`, which the API promises: `request.resourceURL` and `client.url`. Node 24
// and later warn about a call of that function outside of node_modules, where a linked package is. The
// method behind it returns the same object without the warning; the program could not avoid it.

const { Url, parse } = require('url');

const hasMethod = typeof Url.prototype.parse === 'function';

/** Like `url.parse(text, parsesQuery)`. Throws where that throws. */
module.exports = function parseUrl(text, parsesQuery = false) {
  // Deno has the function only.
  return hasMethod ? new Url().parse(text, parsesQuery) : parse(text, parsesQuery);
};
