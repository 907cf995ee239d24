// The server of the contract (see README.md): echoes on every path, with additional behaviour on some.

const PROTOCOLS = ['chat.v1', 'chat.v2'];
const FRAGMENT = 997; // a prime, so that it splits characters of 2, 3 and 4 bytes everywhere

/** id → promise of the close frame received by the connection that came with ?id= */
const closes = new Map();

async function accepted(connection, request) {
  const { pathname, searchParams: query } = new URL(request.url, 'ws://server');
  const id = query.get('id');
  if (id && pathname !== '/last-close') closes.set(id, connection.closed);

  switch (pathname) {
    case '/close':
      connection.startClose(Number(query.get('code')), query.get('reason'));
      return;
    case '/headers':
      connection.send(JSON.stringify(request.headers));
      break;
    case '/ping': {
      const payload = query.get('payload');
      connection.sendPing(payload);
      connection.pong().then((pong) => connection.send(`pong ${pong}`), () => {});
      break;
    }
    case '/last-close':
      connection.send(JSON.stringify((await closes.get(id)) ?? null));
      break;
  }
  connection.each((message) => {
    if (pathname === '/fragmented') connection.sendFragmented(message, FRAGMENT);
    else connection.send(message);
  });
}

export async function serve(library, listen) {
  const [host, port] = listen.split(':');
  const chooseProtocol = (offered) => offered.find((name) => PROTOCOLS.includes(name));
  const bound = await library.listen(host, Number(port), { chooseProtocol, accepted });
  console.log(`listening on ${host}:${bound}`);
}
