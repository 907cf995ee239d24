'use strict';

/** An error with a `code` that programs can compare; its message is for people. */
module.exports = function failure(code, message) {
  const error = new Error(message);
  error.code = code;
  return error;
};
