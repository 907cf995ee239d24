'use strict';
const { Url } = require('node:url');
const { scenario } = require('../registry.js');

/** Plays one handshake; `act` gets the request, `headers` are the client's. */
async function handshake(stage, { config, path, headers }, act) {
  const { server, port } = await stage.serve(config, act);
  const peer = await stage.dial(port, { path, headers });
  return { server, peer };
}

scenario('request: properties', async (stage) => {
  const line = stage.log('request');
  await handshake(
    stage,
    {
      path: '/a/b%20c?x=1&y=two&y=three',
      headers: {
        Origin: 'http://origin.example',
        'Sec-WebSocket-Protocol': 'Chat.V1,superChat,  LAST',
        'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits, simple; A=b',
        Cookie: 'one=1; two="quoted"; three=a%20b; bare; four=x=y',
      },
    },
    (request) => {
      for (const name of [
        'resource',
        'host',
        'key',
        'origin',
        'webSocketVersion',
        'remoteAddress',
        'remoteAddresses',
        'requestedProtocols',
        'requestedExtensions',
        'cookies',
        'websocketVersion',
      ]) {
        line(name, request[name]);
      }
      const { pathname, query, search, href } = request.resourceURL;
      line('resourceURL', pathname, { ...query }, search, href);
      line(
        'objects',
        request.httpRequest.url,
        request.socket === request.httpRequest.socket,
        typeof request.serverConfig,
      );
      request.reject();
    },
  );
});

for (const path of [
  '/@?x=1#y?z',
  '//host/path',
  '/\\a|b^c',
  '*',
  'http://a.example:81/b?c=d',
  'http://[x/',
]) {
  scenario(`request: the resource ${path}`, async (stage) => {
    const { server, peer } = await handshake(stage, { path }, (request) => {
      stage.log('request')('resourceURL', request.resource, { ...request.resourceURL });
      stage.log('request')('legacy', request.resourceURL instanceof Url);
      request.reject(404);
    });
    stage.log('peer')('status', peer.response.split('\r\n')[0], server.connections.length);
  });
}

scenario('request: a quoted value in the list of extensions', async (stage) => {
  await handshake(stage, { headers: { 'Sec-WebSocket-Extensions': 'x; q="v"' } }, (request) => {
    stage.log('request')('extensions', request.requestedExtensions);
    request.reject();
  });
});

scenario('request: as little as there can be', async (stage) => {
  await handshake(stage, {}, (request) => {
    for (const name of ['origin', 'requestedProtocols', 'requestedExtensions', 'cookies']) {
      stage.log('request')(name, request[name]);
    }
    request.reject();
  });
});

scenario('request: parseCookies and parseExtensions can be off', async (stage) => {
  const headers = { Cookie: 'a=%E0%A4%A', 'Sec-WebSocket-Extensions': 'x; y=z' };
  await handshake(stage, { config: { parseCookies: false, parseExtensions: false }, headers }, (request) => {
    stage.log('request')('parsed', request.cookies, request.requestedExtensions);
    request.reject();
  });
});

scenario('request: X-Forwarded-For', async (stage) => {
  const headers = { 'X-Forwarded-For': '10.1.2.3, 10.4.5.6,10.7.8.9' };
  for (const config of [{}, { ignoreXForwardedFor: true }]) {
    await handshake(stage, { config, headers }, (request) => {
      const connection = request.accept(null, null);
      stage.log('request')('addresses', request.remoteAddress, request.remoteAddresses);
      stage.log('request')(
        'of the connection',
        connection.remoteAddress,
        connection.remoteAddresses,
        connection.socket.remoteAddress,
      );
    });
  }
});

scenario('request: version 8', async (stage) => {
  const headers = {
    'Sec-WebSocket-Version': '8',
    'Sec-WebSocket-Origin': 'http://old.example',
    Origin: 'http://new.example',
  };
  const { peer } = await handshake(stage, { headers }, (request) => {
    stage.log('request')('version', request.webSocketVersion, request.origin);
    const connection = request.accept(null, request.origin);
    stage.log('request')('connection', connection.webSocketVersion);
  });
  stage.log('peer')('response', peer.response);
});

scenario('accept: nothing given', async (stage) => {
  const { peer } = await handshake(stage, {}, (request) => {
    const connection = request.accept();
    stage.log('connection')('protocol', connection.protocol, connection.extensions);
  });
  stage.log('peer')('response', peer.response);
});

scenario('accept: a protocol, spelt as the client spelt it', async (stage) => {
  const headers = { 'Sec-WebSocket-Protocol': 'First, SECOND.v2' };
  const { peer } = await handshake(stage, { headers }, (request) => {
    stage.log('connection')('protocol', request.accept('second.v2', 'http://o.example').protocol);
    stage.log('request')('afterwards', request.requestedProtocols);
  });
  stage.log('peer')('response', peer.response);
});

for (const [what, protocol] of Object.entries({
  'in other letters': 'CHAT',
  'that was not offered': 'other',
  'that cannot be one': 'a b',
  empty: '',
})) {
  scenario(`accept: a protocol ${what}`, async (stage) => {
    const { peer, server } = await handshake(
      stage,
      {
        headers: { 'Sec-WebSocket-Protocol': 'chat' },
      },
      (request) => {
        request.on('requestRejected', () => stage.log('request')('rejected'));
        stage.attempt(stage.log('request'), 'accept', () => request.accept(protocol, null));
        stage.attempt(stage.log('request'), 'again', () => request.accept(null, null));
      },
    );
    stage.log('peer')('response', peer.response);
    stage.log('server')('connections', server.connections.length);
  });
}

scenario('accept: an origin with line breaks', async (stage) => {
  const { peer } = await handshake(stage, {}, (request) => {
    request.accept(null, 'http://x.example\r\nSet-Cookie: evil=1');
  });
  stage.log('peer')('response', peer.response);
});

scenario('accept and reject: only once', async (stage) => {
  for (const [first, second] of [
    ['accept', 'accept'],
    ['accept', 'reject'],
    ['reject', 'accept'],
    ['reject', 'reject'],
  ]) {
    const { peer } = await handshake(stage, {}, (request) => {
      stage.attempt(stage.log('request'), first, () => request[first]());
      stage.attempt(stage.log('request'), second, () => request[second]());
    });
    stage.log('peer')('response', peer.response.split('\r\n')[0]);
  }
});

scenario('accept: events of the request', async (stage) => {
  await handshake(stage, {}, (request) => {
    const line = stage.watch(request, 'request', ['requestAccepted', 'requestResolved', 'requestRejected']);
    request.accept(null, null);
    line('accept has returned');
  });
});

scenario('reject: events of the request', async (stage) => {
  await handshake(stage, {}, (request) => {
    const line = stage.watch(request, 'request', ['requestAccepted', 'requestResolved', 'requestRejected']);
    stage.attempt(line, 'reject', () => request.reject());
  });
});

for (const values of [
  [],
  [404],
  [404, 'no such place'],
  [500, null, { 'X-One': 1, 'x-two': ['a', 'b'] }],
  ['404', 'a status as text'],
  [299, 'an unknown status'],
  [401, 'a\r\nb', { 'X-Y\r\nZ': 'c\r\nd' }],
  [302, undefined, { Location: 'http://elsewhere.example/' }],
  [426],
  [410, ''],
]) {
  scenario(`reject: ${JSON.stringify(values)}`, async (stage) => {
    const { peer, server } = await handshake(stage, {}, (request) => request.reject(...values));
    stage.log('peer')('response', peer.response);
    stage.log('peer')('then', await peer.ended, (await peer.tail()).length);
    stage.log('server')('left', server.pendingRequests.length, server.connections.length);
  });
}

const COOKIES = [
  { name: 'plain', value: 'v' },
  {
    name: 'all',
    value: 'v',
    path: '/p',
    domain: 'EXAMPLE.com',
    expires: new Date(0),
    maxage: 60,
    secure: true,
    httponly: true,
  },
  { name: 'text', value: '"quoted"', maxage: '90' },
  { name: 'odd', value: 'a;b\r\nc' },
  { name: 'fraction', value: 'v', maxage: 1.6, secure: false },
];

scenario('accept: cookies', async (stage) => {
  const { peer } = await handshake(stage, {}, (request) => {
    request.accept(
      null,
      null,
      COOKIES.map((cookie) => ({ ...cookie })),
    );
  });
  stage.log('peer')('response', peer.response);
});

const WRONG = {
  'that are no array': { name: 'a', value: 'b' },
  'without a name': [{ value: 'v' }],
  'without a value': [{ name: 'n' }],
  'twice the same': [
    { name: 'n', value: 1 + 'v' },
    { name: 'n', value: 'w' },
  ],
  'with a bad name': [{ name: 'n@', value: 'v' }],
  'with a bad value': [{ name: 'n', value: 'a,b' }],
  'with a bad quoted value': [{ name: 'n', value: '"a\\b"' }],
  'with a bad path': [{ name: 'n', value: 'v', path: '/a;b' }],
  'with a domain that is no text': [{ name: 'n', value: 'v', domain: 7 }],
  'with a bad domain': [{ name: 'n', value: 'v', domain: 'a b' }],
  'with expires that is no date': [{ name: 'n', value: 'v', expires: 'tomorrow' }],
  'with a bad maxage': [{ name: 'n', value: 'v', maxage: -1 }],
  'with maxage that is no number': [{ name: 'n', value: 'v', maxage: 'soon' }],
  'with secure that is no boolean': [{ name: 'n', value: 'v', secure: 'yes' }],
  'with httponly that is no boolean': [{ name: 'n', value: 'v', httponly: 1 }],
};

scenario('accept: cookies that cannot be', async (stage) => {
  for (const [what, cookies] of Object.entries(WRONG)) {
    const { peer } = await handshake(stage, {}, (request) => {
      stage.attempt(stage.log('request'), what, () => request.accept(null, null, cookies));
    });
    stage.log('peer')(what, peer.response);
  }
});

scenario('request: made by hand, without a server', async (stage) => {
  const { lib } = stage;
  const { server: httpServer, port } = await stage.http();
  const config = {
    maxReceivedFrameSize: 0x10000,
    maxReceivedMessageSize: 0x100000,
    fragmentOutgoingMessages: true,
    fragmentationThreshold: 0x4000,
    keepalive: false,
    assembleFragments: true,
    disableNagleAlgorithm: true,
    closeTimeout: 5000,
  };
  httpServer.on('upgrade', (httpRequest, socket) => {
    const request = new lib.request(socket, httpRequest, config);
    stage.log('request')('before', request.resource, request.remoteAddress, request.host);
    try {
      request.readHandshake();
    } catch (error) {
      stage.log('request')('throws', error, error.httpCode, error.headers);
      request.reject(400, error.message);
      return;
    }
    stage.log('request')('after', request.host, request.cookies, request.requestedExtensions);
    const connection = request.accept(null, request.origin);
    connection.on('message', (message) => connection.sendUTF(message.utf8Data));
  });
  const peer = await stage.dial(port);
  peer.send({ payload: 'by hand' });
  stage.log('peer')('echo', (await peer.next()).payload.toString());
  const wrong = await stage.dial(port, { headers: { 'Sec-WebSocket-Version': '1' } });
  stage.log('peer')('wrong', wrong.response);
});

scenario('request: what is done to the socket', async (stage) => {
  const line = stage.log('socket');
  for (const config of [
    {},
    { disableNagleAlgorithm: false, keepalive: false },
    { useNativeKeepalive: true, keepaliveInterval: 1234 },
  ]) {
    await handshake(stage, { config }, (request) => {
      for (const method of ['setNoDelay', 'setTimeout', 'setKeepAlive']) {
        const original = request.socket[method];
        request.socket[method] = function spied(...values) {
          line(method, ...values);
          return original.apply(this, values);
        };
      }
      const mine = () => {};
      request.socket.on('error', mine);
      request.accept(null, null);
      line('still told of errors', request.socket.listeners('error').includes(mine));
    });
  }
});
