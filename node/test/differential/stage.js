'use strict';
// What a scenario gets: the library under test, logs to write into, and peers to play with.
const http = require('node:http');
const net = require('node:net');
const wire = require('../support/wire.js');
const { renderer } = require('./plain.js');

const SERVER_EVENTS = ['request', 'connect', 'close', 'upgradeError'];
const CONNECTION_EVENTS = ['message', 'frame', 'pong', 'error', 'close'];

class Stage {
  #lines = new Map();
  #cleanup = [];
  #hidden = new Map();

  constructor(lib) {
    this.lib = lib;
    this.render = renderer(lib, this.#hidden);
    this.log = this.log.bind(this);
  }

  /** Lines of this channel are compared in their order; those of two channels are not. */
  log(channel) {
    if (!this.#lines.has(channel)) this.#lines.set(channel, []);
    const lines = this.#lines.get(channel);
    return (label, ...values) => {
      lines.push([`${channel}: ${label}`, ...values.map(this.render)].join(' '));
    };
  }

  lines() {
    return [...this.#lines.keys()].sort().flatMap((channel) => this.#lines.get(channel));
  }

  /** Shows `name` wherever `secret` (a port, a key) would be logged. */
  hide(secret, name) {
    this.#hidden.set(String(secret), name);
  }

  defer(undo) {
    this.#cleanup.push(undo);
  }

  async end() {
    for (const undo of this.#cleanup.reverse()) await undo();
  }

  /** What `act` returns or throws, in the log. */
  attempt(log, label, act) {
    try {
      const result = act();
      log(label, 'returns', result);
      return result;
    } catch (error) {
      log(label, 'throws', error);
      return undefined;
    }
  }

  /** Logs every one of these events, with arguments, and whether `this` is the emitter. */
  watch(emitter, channel, events) {
    const { log, stage } = { log: this.log(channel), stage: this };
    for (const event of events) {
      emitter.on(event, function (...values) {
        log(`'${event}'`, ...values);
        if (this !== emitter) stage.log(channel)(`'${event}' has another this`);
      });
    }
    return log;
  }

  watchServer(server, channel = 'server') {
    return this.watch(
      server,
      channel,
      SERVER_EVENTS.filter((event) => event !== 'request'),
    );
  }

  watchConnection(connection, channel = 'connection', more = []) {
    return this.watch(connection, channel, [...CONNECTION_EVENTS, ...more]);
  }

  /** The arguments of the next such event. */
  event(emitter, name) {
    return new Promise((resolve) => emitter.once(name, (...values) => resolve(values)));
  }

  async listen(server) {
    this.defer(() => {
      server.closeAllConnections?.();
      server.close();
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address();
    this.hide(port, 'PORT');
    return port;
  }

  /** An http server that listens; plain requests are answered with 200. */
  async http(create = () => http.createServer()) {
    const server = create();
    server.on('request', (_, response) => response.end('plain'));
    server.on('connection', (socket) => this.defer(() => socket.destroy()));
    const port = await this.listen(server);
    return { server, port, url: `ws://127.0.0.1:${port}` };
  }

  /** A server under test, mounted on an http server. */
  async serve(config = {}, onRequest) {
    const { server: httpServer, port, url } = await this.http();
    const server = new this.lib.server({ httpServer, ...config });
    if (onRequest) server.on('request', onRequest);
    return { server, httpServer, port, url };
  }

  /** A raw client; `request` as of wire.upgradeRequest. Its response's head is in `peer.response`. */
  async dial(port, request) {
    const peer = wire.dial(port, request);
    this.defer(() => peer.socket.destroy());
    peer.response = await peer.head();
    return peer;
  }

  /** Any client's half of a conversation with a server of ours that is written by hand. */
  async rawServer() {
    const waiting = [];
    const arrived = [];
    const server = net.createServer({ allowHalfOpen: true }, async (socket) => {
      socket.setNoDelay(true);
      this.defer(() => socket.destroy());
      const peer = new wire.Peer(socket, { masks: false });
      peer.request = await peer.head();
      if (peer.request === null) return;
      peer.accept = (headers) => peer.write(wire.upgradeResponse(peer.request, headers));
      const taker = waiting.shift();
      if (taker) taker(peer);
      else arrived.push(peer);
    });
    const port = await this.listen(server);
    const next = () =>
      new Promise((resolve) => {
        if (arrived.length) resolve(arrived.shift());
        else waiting.push(resolve);
      });
    return { server, port, url: `ws://127.0.0.1:${port}`, next };
  }

  /**
   * A connection of the library in that role, and the raw peer at its other end. `setUp` gets the
   * connection as early as a program can have it.
   */
  async connection(role, config = {}, setUp = () => {}) {
    if (role === 'server') {
      let connection;
      const { server, port } = await this.serve(config, (request) => {
        connection = request.accept(null, request.origin);
        setUp(connection);
      });
      const peer = await this.dial(port);
      return { connection, peer, server };
    }
    const { url, next } = await this.rawServer();
    const client = new this.lib.client(config);
    const connected = new Promise((resolve) =>
      client.on('connect', (connection) => {
        setUp(connection);
        resolve(connection);
      }),
    );
    client.connect(url);
    const peer = await next();
    peer.accept();
    return { connection: await connected, peer, client };
  }

  /** As `connection`, with every event of the connection in the log. */
  watched(role, config, setUp = () => {}) {
    return this.connection(role, config, (connection) => {
      this.watchConnection(connection);
      setUp(connection);
    });
  }

  /** Both ends are of the library. */
  async pair({ server: serverConfig, client: clientConfig, protocol } = {}, setUp = () => {}) {
    let serverSide;
    const { server, url } = await this.serve(serverConfig, (request) => {
      serverSide = request.accept(protocol ?? null, request.origin);
      setUp(serverSide, 'server');
    });
    const client = new this.lib.client(clientConfig);
    const connected = new Promise((resolve, reject) => {
      client.on('connectFailed', reject);
      client.on('connect', (connection) => {
        setUp(connection, 'client');
        resolve(connection);
      });
    });
    client.connect(url, protocol);
    return { server, client, clientSide: await connected, serverSide };
  }

  /** Lets everything happen that is on its way, by sending bytes around a few times. */
  async settle(rounds = 6) {
    const server = net.createServer((socket) => socket.pipe(socket));
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const socket = net.connect(server.address().port, '127.0.0.1');
    for (let round = 0; round < rounds; round += 1) {
      socket.write('.');
      await this.event(socket, 'data');
      await new Promise(setImmediate);
    }
    socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}

/** A frame from a raw peer, as it is logged. */
function shown(frame) {
  if (!frame) return ['nothing'];
  const { opcode, fin, rsv, masked, payload } = frame;
  const data =
    opcode === 'close' && payload.length >= 2
      ? [payload.readUInt16BE(), payload.toString('utf8', 2)]
      : [opcode === 'text' ? payload.toString() : payload];
  return [
    opcode,
    ...(fin ? [] : ['unfinished']),
    ...(rsv ? [`rsv ${rsv}`] : []),
    masked ? 'masked' : 'unmasked',
    ...data,
  ];
}

module.exports = { Stage, shown, wire };
