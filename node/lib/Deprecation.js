'use strict';

/** Warnings of names that will go. There are none at present. */
module.exports = {
  disableWarnings: false,
  deprecationWarningMap: {},

  warn(name) {
    const warning = this.deprecationWarningMap[name];
    if (this.disableWarnings || !warning) return;
    console.warn(`DEPRECATION WARNING: ${warning}`);
    // Once is enough.
    this.deprecationWarningMap[name] = false;
  },
};
