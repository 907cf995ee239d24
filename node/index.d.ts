// Types of the npm package `towline`. The names of interfaces are those of `@types/websocket`, so
// that programs written for that need not change.

/// <reference types="node" />

import { EventEmitter } from 'events';
import {
  ClientRequestArgs,
  IncomingHttpHeaders,
  IncomingMessage,
  OutgoingHttpHeaders,
  Server as HttpServer,
} from 'http';
import { Server as HttpsServer, RequestOptions } from 'https';
import { Socket } from 'net';
import { TLSSocketOptions } from 'tls';
import { Url, UrlWithParsedQuery } from 'url';

/** An EventEmitter whose events and handlers are checked. */
declare class Emitter<Events extends Record<keyof Events, unknown[]>> extends EventEmitter {
  on<K extends keyof Events & string>(
    event: K,
    listener: (this: this, ...args: Events[K]) => void,
  ): this;
  on<K extends keyof Events & string>(event: K, listener: (...args: Events[K]) => void): this;
  addListener<K extends keyof Events & string>(
    event: K,
    listener: (this: this, ...args: Events[K]) => void,
  ): this;
  addListener<K extends keyof Events & string>(event: K, listener: (...args: Events[K]) => void): this;
  once<K extends keyof Events & string>(
    event: K,
    listener: (this: this, ...args: Events[K]) => void,
  ): this;
  once<K extends keyof Events & string>(event: K, listener: (...args: Events[K]) => void): this;
  once(event: string | symbol, listener: (...args: any[]) => void): this;
  prependListener<K extends keyof Events & string>(
    event: K,
    listener: (this: this, ...args: Events[K]) => void,
  ): this;
  prependListener<K extends keyof Events & string>(event: K, listener: (...args: Events[K]) => void): this;
  prependListener(event: string | symbol, listener: (...args: any[]) => void): this;
}

/** What both ends can be told. Sizes are in bytes, times in milliseconds. */
export interface IConfig {
  /** The largest frame that is received. Default: 64 KiB on a server, 1 MiB on a client. */
  maxReceivedFrameSize?: number | undefined;
  /** The largest message in several frames that is received. Default: 1 MiB, on a client 8 MiB. */
  maxReceivedMessageSize?: number | undefined;
  /** The most frames that a received message may come in. Default: 65,536. */
  maxReceivedFragments?: number | undefined;
  /** Whether messages larger than `fragmentationThreshold` are sent in several frames. Default: true. */
  fragmentOutgoingMessages?: boolean | undefined;
  /** The most payload that a sent frame carries. Default: 16 KiB. */
  fragmentationThreshold?: number | undefined;
  /** Whether fragments are put together. If not, each is a `frame` event. Default: true. */
  assembleFragments?: boolean | undefined;
  /**
   * Whether nothing comes between two messages that have arrived together. If not, promises settle,
   * so that what a handler does after an `await` comes before the next message. Default: false.
   */
  allowSynchronousEvents?: boolean | undefined;
  /**
   * Whether messages are compressed, if the peer can do it too: it takes time, and memory where
   * messages may refer to earlier ones. Without effect if `assembleFragments` is off. Default:
   * false.
   */
  perMessageDeflate?: boolean | IPerMessageDeflateOptions | undefined;
  /** How long the peer has to answer a close frame. Default: 5000. */
  closeTimeout?: number | undefined;
  /** Whether small packets are sent at once. Default: true. */
  disableNagleAlgorithm?: boolean | undefined;
}

/** How to compress, as the package `ws` spells it. What it has beside these is ignored. */
export interface IPerMessageDeflateOptions {
  /** From how many bytes on a message is compressed. Default: 256. */
  threshold?: number | undefined;
  /** Level 1 to 9. Default: 3. */
  zlibDeflateOptions?: { level?: number } | undefined;
  /** Whether the server's messages stand alone. Default: true on a server, false on a client. */
  serverNoContextTakeover?: boolean | undefined;
  /** The same of the client's. */
  clientNoContextTakeover?: boolean | undefined;
  /** How far back the server's messages refer: 9 to 15, as a power of two. */
  serverMaxWindowBits?: number | undefined;
  /** The same of the client's. */
  clientMaxWindowBits?: boolean | number | undefined;
}

export interface IServerConfig extends IConfig {
  /** The server, or servers, whose upgrades to take. */
  httpServer: HttpServer | HttpsServer | Array<HttpServer | HttpsServer>;
  /** Whether silent clients are sent pings. Default: true. */
  keepalive?: boolean | undefined;
  /** After how much silence. Default: 20000. */
  keepaliveInterval?: number | undefined;
  /** Whether a client that does not answer is dropped. Default: true. */
  dropConnectionOnKeepaliveTimeout?: boolean | undefined;
  /** How long it has to answer. Default: 10000. */
  keepaliveGracePeriod?: number | undefined;
  /** Whether TCP asks instead, without pings. Default: false. */
  useNativeKeepalive?: boolean | undefined;
  /** Whether every request is accepted, whatever its path, protocol and origin. Default: false. */
  autoAcceptConnections?: boolean | undefined;
  /** Whether `remoteAddress` is that of the socket, whatever X-Forwarded-For says. Default: false. */
  ignoreXForwardedFor?: boolean | undefined;
  /** Whether `request.cookies` is filled. Default: true. */
  parseCookies?: boolean | undefined;
  /** Whether `request.requestedExtensions` is filled. Default: true. */
  parseExtensions?: boolean | undefined;
}

export interface IClientConfig extends IConfig {
  /** 13, or 8, which changes the name of the Origin header. Default: 13. */
  webSocketVersion?: number | undefined;
  /** @deprecated `webSocketVersion` */
  websocketVersion?: number | undefined;
  /** Options for the TLS connection, and headers for wss: alone. */
  tlsOptions?: TLSSocketOptions & RequestOptions | undefined;
  keepalive?: boolean | undefined;
  keepaliveInterval?: number | undefined;
  dropConnectionOnKeepaliveTimeout?: boolean | undefined;
  keepaliveGracePeriod?: number | undefined;
  useNativeKeepalive?: boolean | undefined;
}

/** An error of this package. */
export interface WebSocketError extends Error {
  /** What went wrong, as a text that does not change: `ERR_CLOSED`, `ERR_HANDSHAKE`, … */
  code: string;
  /** Of `ERR_HTTP_RESPONSE`: the status that the server answered with. */
  statusCode?: number;
  /** Of `ERR_HTTP_RESPONSE`: the headers beside it. */
  headers?: IncomingHttpHeaders;
}

export interface IUtf8Message {
  type: 'utf8';
  utf8Data: string;
}

export interface IBinaryMessage {
  type: 'binary';
  binaryData: Buffer;
}

export type Message = IUtf8Message | IBinaryMessage;

/** A program that is not told which of the two it has. */
export interface IMessage {
  type: 'utf8' | 'binary';
  utf8Data?: string;
  binaryData?: Buffer;
}

export interface ICookie {
  name: string;
  value: string;
  path?: string | undefined;
  domain?: string | undefined;
  expires?: Date | undefined;
  maxage?: any;
  secure?: boolean | undefined;
  httponly?: boolean | undefined;
}

/** An extension: its name and its parameters. */
export interface IExtension {
  name: string;
  /** @deprecated It is not there: see `params`. */
  value: string;
  params?: Array<{ name: string; value: string | undefined }> | undefined;
}

/**
 * What held bytes that had been received.
 * @deprecated It is not there. The name is for programs that have it in a declaration.
 */
export interface IBufferList extends EventEmitter {
  encoding: string;
  length: number;
  write(buffer: Buffer): boolean;
  end(buffer: Buffer): void;
  push(): void;
  forEach(visit: (buffer: Buffer) => boolean): void;
  join(start: number, end: number): Buffer;
  joinInto(target: Buffer, offset: number, start: number, end: number): Buffer;
  advance(count: number): IBufferList;
  take(count: number, encoding?: string): any;
  take(encoding?: string): any;
  toString(): string;
}

/** How a connection ended. */
export interface Closed {
  code: number;
  description: string;
}

export interface IStringified {
  toString: (...args: any[]) => string;
}

/** Called when what was sent has been handed to the system, or can't be. */
export type SendCallback = (error?: Error) => void;

interface ServerEvents {
  request: [request: request];
  connect: [connection: connection];
  close: [connection: connection, reason: number, description: string];
  upgradeError: [error: Error];
}

/** Takes the upgrades of HTTP servers. */
export class server extends Emitter<ServerEvents> {
  constructor(config?: IServerConfig);
  config?: IServerConfig | undefined;
  connections: connection[];
  pendingRequests: request[];
  mount(config: IServerConfig): void;
  unmount(): void;
  closeAllConnections(): void;
  shutDown(): void;
  broadcast(data: Buffer | IStringified): void;
  broadcastUTF(data: IStringified): void;
  broadcastBytes(data: Buffer): void;
  handleUpgrade(request: IncomingMessage, socket: Socket, head?: Buffer): void;
  handleRequestAccepted(connection: connection): void;
  handleConnectionClose(connection: connection, closeReason: number, description: string): void;
  handleRequestResolved(request: request): void;
}

interface RequestEvents {
  requestAccepted: [connection: connection];
  requestRejected: [request: request];
  requestResolved: [request: request];
}

/** A client that asks for a connection. */
export class request extends Emitter<RequestEvents> {
  constructor(socket: Socket, httpRequest: IncomingMessage, config: Partial<IServerConfig>);
  socket: Socket;
  httpRequest: IncomingMessage;
  host: string;
  key: string;
  resource: string;
  resourceURL: UrlWithParsedQuery;
  remoteAddress: string;
  remoteAddresses: string[];
  origin: string;
  webSocketVersion: number;
  requestedExtensions: any[];
  requestedProtocols: string[];
  /** Those that the client has sent, by name and value. */
  cookies: ICookie[];
  protocolFullCaseMap: { [key: string]: string };
  serverConfig: IServerConfig;
  /** Reads the handshake of a request that is made by hand. Throws for one that is none. */
  readHandshake(): void;
  parseExtensions(header: string): any[];
  parseCookies(header: string): any;
  accept(
    acceptedProtocol?: string | null,
    allowedOrigin?: string | null,
    cookies?: ICookie[],
  ): connection;
  reject(httpStatus?: number, reason?: string, extraHeaders?: object): void;
}

interface ConnectionEvents {
  message: [message: Message];
  frame: [frame: frame];
  close: [code: number, description: string];
  error: [error: Error];
  ping: [cancel: () => void, data: Buffer];
  pong: [data: Buffer];
  drain: [];
  pause: [];
  resume: [];
}

/** A connection, the same on both ends. */
export class connection extends Emitter<ConnectionEvents> implements AsyncIterable<Message> {
  static CLOSE_REASON_NORMAL: number;
  static CLOSE_REASON_GOING_AWAY: number;
  static CLOSE_REASON_PROTOCOL_ERROR: number;
  static CLOSE_REASON_UNPROCESSABLE_INPUT: number;
  static CLOSE_REASON_RESERVED: number;
  static CLOSE_REASON_NOT_PROVIDED: number;
  static CLOSE_REASON_ABNORMAL: number;
  static CLOSE_REASON_INVALID_DATA: number;
  static CLOSE_REASON_POLICY_VIOLATION: number;
  static CLOSE_REASON_MESSAGE_TOO_BIG: number;
  static CLOSE_REASON_EXTENSION_REQUIRED: number;
  static CLOSE_REASON_INTERNAL_SERVER_ERROR: number;
  static CLOSE_REASON_TLS_HANDSHAKE_FAILED: number;
  static CLOSE_DESCRIPTIONS: { [code: number]: string };

  constructor(
    socket: Socket,
    extensions: IExtension[],
    protocol: string,
    maskOutgoingPackets: boolean,
    config: IConfig,
  );
  socket: Socket;
  config: IConfig;
  connected: boolean;
  /** `open`, `peer_requested_close`, `ending` or `closed`. */
  state: string;
  /** -1 while the connection is open. */
  closeReasonCode: number;
  /** null while the connection is open. */
  closeDescription: string;
  /** The subprotocol, in lower case; undefined or null, if there is none. */
  protocol: string;
  extensions: IExtension[];
  remoteAddress: string;
  remoteAddresses?: string[] | undefined;
  webSocketVersion: number;
  maskOutgoingPackets: boolean;
  waitingForCloseResponse: boolean;
  receivedEnd: boolean;
  closeTimeout: number;
  assembleFragments: any;
  maxReceivedMessageSize: number;
  inputPaused: boolean;
  socketHadError: boolean;
  /** Whether a program that has more to send had better wait for `drain`. */
  outputBufferFull: boolean;
  /** How many bytes wait to be written. */
  bufferedAmount: number;
  /** Resolves when the connection is over. Never rejects. */
  closed: Promise<Closed>;

  send(data: Buffer | IStringified, callback?: SendCallback): void;
  sendUTF(data: IStringified, callback?: SendCallback): void;
  sendBytes(data: Buffer, callback?: SendCallback): void;
  /** Returns false if a program that has more to send had better wait for `drain`. */
  sendFrame(frame: frame, callback?: SendCallback): boolean | void;
  /** Sends a close frame, and ends this side of the socket. `close` waits for the peer. */
  sendCloseFrame(reasonCode?: number, description?: string, callback?: SendCallback): void;
  handleSocketData(data: Buffer): void;
  ping(data?: Buffer | IStringified): void;
  pong(data?: Buffer | IStringified): void;
  pause(): void;
  resume(): void;
  /** Closes, and waits for the peer for `closeTimeout`. */
  close(reasonCode?: number, description?: string): void;
  /** Ends the connection at once. What the system has not taken yet is lost. */
  drop(reasonCode?: number, description?: string, skipCloseFrame?: boolean): void;
  /** The messages, one by one, until the connection is over. */
  [Symbol.asyncIterator](): AsyncIterator<Message, undefined> & AsyncIterable<Message>;
}

/** A frame, as it is on the wire. */
export class frame {
  constructor(...ignored: any[]);
  fin: boolean;
  rsv1: boolean;
  rsv2: boolean;
  rsv3: boolean;
  mask: any;
  opcode: number;
  length: number;
  binaryPayload: Buffer;
  /** The code of a close frame, or -1. */
  closeStatus: number;
  toBuffer(nullMask?: boolean): Buffer;
  toString(): string;
}

interface ClientEvents {
  connect: [connection: connection];
  connectFailed: [error: Error];
  httpResponse: [response: IncomingMessage, client: client];
}

/** Opens connections. */
export class client extends Emitter<ClientEvents> {
  constructor(config?: IClientConfig);
  config: IClientConfig;
  url: Url;
  secure: boolean;
  protocols: string[];
  origin: string;
  response: IncomingMessage | undefined;
  connect(
    requestUrl: string | URL | Url,
    requestedProtocols?: string | string[] | null,
    origin?: string | null,
    headers?: OutgoingHttpHeaders | null,
    extraRequestOptions?: ClientRequestArgs | null,
  ): void;
  abort(): void;
}

export interface IRouterConfig {
  server: server;
}

export interface IRouterHandler {
  path: any;
  pathString: string;
  protocol: string;
  callback: (request: IRouterRequest) => void;
}

/** Hands requests to handlers, by path and protocol. */
export class router extends EventEmitter {
  handlers: IRouterHandler[];
  constructor(config?: IRouterConfig);
  attachServer(server: server): void;
  detachServer(): void;
  mount(
    path: string | RegExp,
    protocol: string | null | undefined,
    callback: (request: IRouterRequest) => void,
  ): void;
  unmount(path: string | RegExp, protocol?: string | null): void;
  findHandlerIndex(pathString: string, protocol: string): number;
  pathToRegExp(path: string): RegExp;
  handleRequest(request: request): void;
}

interface RouterRequestEvents {
  requestAccepted: [connection: connection];
  requestRejected: [request: IRouterRequest];
}

/** A request whose protocol the router has settled. */
export interface IRouterRequest extends Emitter<RouterRequestEvents> {
  webSocketRequest: request;
  protocol: string | null;
  origin: string;
  resource: string;
  resourceURL: UrlWithParsedQuery;
  httpRequest: IncomingMessage;
  remoteAddress: string;
  webSocketVersion: number;
  requestedExtensions: any[];
  /** Those that the client has sent, by name and value. */
  cookies: ICookie[];
  accept(origin?: string | null, cookies?: ICookie[]): connection;
  /** @deprecated The first is taken for the origin: the router has settled the protocol. */
  accept(acceptedProtocol?: string, allowedOrigin?: string, cookies?: ICookie[]): connection;
  reject(httpStatus?: number, reason?: string, extraHeaders?: object): void;
}

export interface IMessageEvent {
  type?: string;
  target?: w3cwebsocket;
  /** An ArrayBuffer where it is binary, or a Blob if `binaryType` says so. */
  data: string | Buffer | ArrayBuffer;
}

export interface ICloseEvent {
  type?: string;
  target?: w3cwebsocket;
  code: number;
  reason: string;
  /** Whether each end has had the close frame of the other. */
  wasClean: boolean;
}

export interface ISocketEvent {
  type: string;
  target: w3cwebsocket;
}

interface W3CEvents {
  open: ISocketEvent;
  message: IMessageEvent;
  error: ISocketEvent;
  close: ICloseEvent;
}

/** The WebSocket of browsers. */
export class w3cwebsocket {
  static CONNECTING: number;
  static OPEN: number;
  static CLOSING: number;
  static CLOSED: number;
  constructor(
    url: string,
    protocols?: string | string[] | null,
    origin?: string | null,
    headers?: OutgoingHttpHeaders | null,
    requestOptions?: object | null,
    clientConfig?: IClientConfig,
  );
  CONNECTING: number;
  OPEN: number;
  CLOSING: number;
  CLOSED: number;
  url: string;
  readyState: number;
  protocol?: string | undefined;
  extensions: IExtension[];
  bufferedAmount: number;
  binaryType: 'arraybuffer' | 'blob';
  onopen: (event?: any) => void;
  onmessage: (event: IMessageEvent) => void;
  /** What is called is given an event; programs have it declared as an error. */
  onerror: (event: any) => void;
  onclose: (event: ICloseEvent) => void;
  send(data: ArrayBufferView | ArrayBufferLike | Buffer | IStringified): void;
  close(code?: number, reason?: string): void;
  addEventListener<K extends keyof W3CEvents>(
    type: K,
    listener: (this: this, event: W3CEvents[K]) => void,
    options?: { once?: boolean },
  ): void;
  removeEventListener<K extends keyof W3CEvents>(
    type: K,
    listener: (this: this, event: W3CEvents[K]) => void,
  ): void;
  dispatchEvent(event: { type: string }): boolean;
}

export const deprecation: {
  disableWarnings: boolean;
  deprecationWarningMap: Record<string, string | false>;
  warn(name: string): void;
};

export const version: string;

export interface ConnectOptions extends IClientConfig {
  protocols?: string | string[];
  origin?: string;
  headers?: OutgoingHttpHeaders;
  requestOptions?: ClientRequestArgs;
  /** Gives up connecting. */
  signal?: AbortSignal;
}

/** Opens a connection: rejects with why there is none. */
export function connect(url: string | URL, options?: ConnectOptions): Promise<connection>;

// Nothing is exported but what says so.
export {};
