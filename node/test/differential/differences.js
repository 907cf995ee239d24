'use strict';
// Where a program can tell this package from npm `websocket`, on purpose. Each title stands in
// COMPATIBILITY.md; `theirs` and `ours` are the lines that only one of the two logs has.
module.exports = [];
