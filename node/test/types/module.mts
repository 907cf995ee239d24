// The declarations of the ES module, beside those of the CommonJS one.

import towline, { connect, connection, server, w3cwebsocket } from 'towline';

export const one: typeof server = towline.server;
export const closed = async (): Promise<number> => {
  const open: connection = await connect('ws://localhost/');
  return (await open.closed).code;
};
export const socket: w3cwebsocket = new towline.w3cwebsocket('ws://localhost/');
// @ts-expect-error -- there is no such name
export const other = towline.serve;
