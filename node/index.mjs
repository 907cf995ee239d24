import towline from './index.js';

export const {
  server,
  client,
  router,
  frame,
  request,
  connection,
  w3cwebsocket,
  deprecation,
  version,
  connect,
} = towline;

export default towline;
