'use strict';
// What is tested: this package, or another that has the same API, to try the tests themselves on.
module.exports = require(process.env.TOWLINE_TEST_AS ?? '../../');
