'use strict';

/** The states of a connection, as programs find them in `connection.state`. */
module.exports = {
  OPEN: 'open',
  PEER_REQUESTED_CLOSE: 'peer_requested_close',
  ENDING: 'ending',
  CLOSED: 'closed',
};
