'use strict';

/** An error with a `code` that programs can compare; its message is for people. */
module.exports = function failure(code, message, Type = Error) {
  const error = new Type(message);
  error.code = code;
  return error;
};
