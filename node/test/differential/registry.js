'use strict';
// The scenarios, in the order of their files.
const scenarios = new Map();

/** `play` gets a Stage; what it logs is compared. */
function scenario(name, play) {
  if (scenarios.has(name)) throw new Error(`two scenarios are called ${name}`);
  scenarios.set(name, play);
}

/** The same for a connection of a server and for one of a client. */
function bothRoles(name, play) {
  for (const role of ['server', 'client']) {
    scenario(`${name} (${role})`, (stage) => play(stage, role));
  }
}

module.exports = { scenarios, scenario, bothRoles };
