// Types of the npm package `towline`. The names of interfaces are those of `@types/websocket`, so
// that programs written for that need not change.

/// <reference types="node" />

import { EventEmitter } from 'node:events';
import {
  ClientRequestArgs,
  IncomingHttpHeaders,
  IncomingMessage,
  OutgoingHttpHeaders,
  Server as HttpServer,
} from 'node:http';
import { Server as HttpsServer, RequestOptions } from 'node:https';
import { Socket } from 'node:net';
import { TLSSocketOptions } from 'node:tls';
import { Url, UrlWithParsedQuery } from 'node:url';

/** An EventEmitter whose events and handlers are checked. */
declare class Emitter<Events extends Record<keyof Events, unknown[]>> extends EventEmitter {
  on<K extends keyof Events & string>(
    event: K,
    listener: (this: this, ...args: Events[K]) => void,
  ): this;
  once<K extends keyof Events & string>(
    event: K,
    listener: (this: this, ...args: Events[K]) => void,
  ): this;
  addListener<K extends keyof Events & string>(
    event: K,
    listener: (this: this, ...args: Events[K]) => void,
  ): this;
  prependListener<K extends keyof Events & string>(
    event: K,
    listener: (this: this, ...args: Events[K]) => void,
  ): this;
}

/** What both ends can be told. Sizes are in bytes, times in milliseconds. */
export interface IConfig {
  /** The largest frame that is received. Default: 64 KiB on a server, 1 MiB on a client. */
  maxReceivedFrameSize?: number;
  /** The largest message in several frames that is received. Default: 1 MiB, on a client 8 MiB. */
  maxReceivedMessageSize?: number;
  /** The most frames that a received message may come in. Default: 65,536. */
  maxReceivedFragments?: number;
  /** Whether messages larger than `fragmentationThreshold` are sent in several frames. Default: true. */
  fragmentOutgoingMessages?: boolean;
  /** The most payload that a sent frame carries. Default: 16 KiB. */
  fragmentationThreshold?: number;
  /** Whether fragments are put together. If not, each is a `frame` event. Default: true. */
  assembleFragments?: boolean;
  /**
   * Whether nothing comes between two messages that have arrived together. If not, promises settle,
   * so that what a handler does after an `await` comes before the next message. Default: false.
   */
  allowSynchronousEvents?: boolean;
  /**
   * Whether messages are compressed, if the peer can do it too: it takes time, and memory where
   * messages may refer to earlier ones. Without effect if `assembleFragments` is off. Default:
   * false.
   */
  perMessageDeflate?: boolean | IPerMessageDeflateOptions;
  /** How long the peer has to answer a close frame. Default: 5000. */
  closeTimeout?: number;
  /** Whether small packets are sent at once. Default: true. */
  disableNagleAlgorithm?: boolean;
}

/** How to compress, as the package `ws` spells it. What it has beside these is ignored. */
export interface IPerMessageDeflateOptions {
  /** From how many bytes on a message is compressed. Default: 256. */
  threshold?: number;
  /** Level 1 to 9. Default: 3. */
  zlibDeflateOptions?: { level?: number };
  /** Whether the server's messages stand alone. Default: true on a server, false on a client. */
  serverNoContextTakeover?: boolean;
  /** The same of the client's. */
  clientNoContextTakeover?: boolean;
  /** How far back the server's messages refer: 9 to 15, as a power of two. */
  serverMaxWindowBits?: number;
  /** The same of the client's. */
  clientMaxWindowBits?: boolean | number;
}

export interface IServerConfig extends IConfig {
  /** The server, or servers, whose upgrades to take. */
  httpServer: HttpServer | HttpsServer | Array<HttpServer | HttpsServer>;
  /** Whether silent clients are sent pings. Default: true. */
  keepalive?: boolean;
  /** After how much silence. Default: 20000. */
  keepaliveInterval?: number;
  /** Whether a client that does not answer is dropped. Default: true. */
  dropConnectionOnKeepaliveTimeout?: boolean;
  /** How long it has to answer. Default: 10000. */
  keepaliveGracePeriod?: number;
  /** Whether TCP asks instead, without pings. Default: false. */
  useNativeKeepalive?: boolean;
  /** Whether every request is accepted, whatever its path, protocol and origin. Default: false. */
  autoAcceptConnections?: boolean;
  /** Whether `remoteAddress` is that of the socket, whatever X-Forwarded-For says. Default: false. */
  ignoreXForwardedFor?: boolean;
  /** Whether `request.cookies` is filled. Default: true. */
  parseCookies?: boolean;
  /** Whether `request.requestedExtensions` is filled. Default: true. */
  parseExtensions?: boolean;
}

export interface IClientConfig extends IConfig {
  /** 13, or 8, which changes the name of the Origin header. Default: 13. */
  webSocketVersion?: 8 | 13;
  /** @deprecated `webSocketVersion` */
  websocketVersion?: 8 | 13;
  /** Options for the TLS connection, and headers for wss: alone. */
  tlsOptions?: TLSSocketOptions & RequestOptions;
  keepalive?: boolean;
  keepaliveInterval?: number;
  dropConnectionOnKeepaliveTimeout?: boolean;
  keepaliveGracePeriod?: number;
  useNativeKeepalive?: boolean;
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
  path?: string;
  domain?: string;
  expires?: Date;
  maxage?: number | string;
  secure?: boolean;
  httponly?: boolean;
}

export interface IRequestCookie {
  name: string;
  value: string | null;
}

export interface IExtension {
  name: string;
  params: Array<{ name: string; value: string | undefined }>;
}

/** How a connection ended. */
export interface Closed {
  code: number;
  description: string;
}

export interface IStringified {
  toString(): string;
}

/** Called when what was sent has been handed to the system, or can't be. */
export type SendCallback = (error?: Error | null) => void;

interface ServerEvents {
  request: [request: request];
  connect: [connection: connection];
  close: [connection: connection, reason: number, description: string];
  upgradeError: [error: Error];
}

/** Takes the upgrades of HTTP servers. */
export class server extends Emitter<ServerEvents> {
  constructor(config?: IServerConfig);
  config: Required<IServerConfig>;
  connections: connection[];
  pendingRequests: request[];
  mount(config: IServerConfig): void;
  unmount(): void;
  closeAllConnections(): void;
  shutDown(): void;
  broadcast(data: Buffer | IStringified): void;
  broadcastUTF(data: IStringified): void;
  broadcastBytes(data: Buffer): void;
}

interface RequestEvents {
  requestAccepted: [connection: connection];
  requestRejected: [request: request];
  requestResolved: [request: request];
}

/** A client that asks for a connection. */
export class request extends Emitter<RequestEvents> {
  constructor(socket: Socket, httpRequest: IncomingMessage, config: Partial<IServerConfig>);
  readonly socket: Socket;
  readonly httpRequest: IncomingMessage;
  readonly host: string;
  readonly key: string;
  readonly resource: string;
  readonly resourceURL: UrlWithParsedQuery;
  readonly remoteAddress: string;
  readonly remoteAddresses: string[];
  readonly origin: string | undefined;
  readonly webSocketVersion: number;
  readonly requestedExtensions: IExtension[];
  readonly requestedProtocols: string[];
  readonly cookies: IRequestCookie[];
  /** Reads the handshake of a request that is made by hand. Throws for one that is none. */
  readHandshake(): void;
  accept(
    acceptedProtocol?: string | null,
    allowedOrigin?: string | null,
    cookies?: ICookie[],
  ): connection;
  reject(httpStatus?: number, reason?: string, extraHeaders?: Record<string, unknown>): void;
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
  static readonly CLOSE_REASON_NORMAL: 1000;
  static readonly CLOSE_REASON_GOING_AWAY: 1001;
  static readonly CLOSE_REASON_PROTOCOL_ERROR: 1002;
  static readonly CLOSE_REASON_UNPROCESSABLE_INPUT: 1003;
  static readonly CLOSE_REASON_RESERVED: 1004;
  static readonly CLOSE_REASON_NOT_PROVIDED: 1005;
  static readonly CLOSE_REASON_ABNORMAL: 1006;
  static readonly CLOSE_REASON_INVALID_DATA: 1007;
  static readonly CLOSE_REASON_POLICY_VIOLATION: 1008;
  static readonly CLOSE_REASON_MESSAGE_TOO_BIG: 1009;
  static readonly CLOSE_REASON_EXTENSION_REQUIRED: 1010;
  static readonly CLOSE_REASON_INTERNAL_SERVER_ERROR: 1011;
  static readonly CLOSE_REASON_TLS_HANDSHAKE_FAILED: 1015;
  static readonly CLOSE_DESCRIPTIONS: Record<number, string>;

  readonly socket: Socket;
  readonly config: IConfig;
  readonly connected: boolean;
  readonly state: 'open' | 'peer_requested_close' | 'ending' | 'closed';
  /** -1 while the connection is open. */
  readonly closeReasonCode: number;
  readonly closeDescription: string | null;
  readonly protocol: string | undefined;
  readonly extensions: IExtension[];
  readonly remoteAddress: string;
  readonly remoteAddresses?: string[];
  readonly webSocketVersion: number;
  /** Whether a program that has more to send had better wait for `drain`. */
  readonly outputBufferFull: boolean;
  /** How many bytes wait to be written. */
  readonly bufferedAmount: number;
  /** Resolves when the connection is over. Never rejects. */
  readonly closed: Promise<Closed>;

  send(data: Buffer | IStringified, callback?: SendCallback): void;
  sendUTF(data: IStringified, callback?: SendCallback): void;
  sendBytes(data: Buffer, callback?: SendCallback): void;
  sendFrame(frame: frame, callback?: SendCallback): boolean;
  ping(data?: Buffer | IStringified): void;
  pong(data?: Buffer | IStringified): void;
  pause(): void;
  resume(): void;
  /** Closes, and waits for the peer for `closeTimeout`. */
  close(reasonCode?: number, description?: string): void;
  /** Ends the connection at once. */
  drop(reasonCode?: number, description?: string, skipCloseFrame?: boolean): void;
  /** The messages, one by one, until the connection is over. */
  [Symbol.asyncIterator](): AsyncIterator<Message, undefined> & AsyncIterable<Message>;
}

/** A frame, as it is on the wire. */
export class frame {
  constructor();
  fin: boolean;
  rsv1: boolean;
  rsv2: boolean;
  rsv3: boolean;
  mask: boolean;
  opcode: number;
  readonly length: number;
  binaryPayload: Buffer | undefined;
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
  readonly config: IClientConfig;
  readonly url: Url;
  readonly secure: boolean;
  readonly protocols: string[];
  readonly origin: string | undefined;
  readonly response: IncomingMessage | undefined;
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

/** Hands requests to handlers, by path and protocol. */
export class router extends EventEmitter {
  constructor(config?: IRouterConfig);
  attachServer(server: server): void;
  detachServer(): void;
  mount(
    path: string | RegExp,
    protocol: string | null | undefined,
    callback: (request: routerRequest) => void,
  ): void;
  unmount(path: string | RegExp, protocol?: string | null): void;
}

/** A request whose protocol the router has settled. */
export interface routerRequest extends EventEmitter {
  readonly webSocketRequest: request;
  readonly protocol: string | null;
  readonly origin: string | undefined;
  readonly resource: string;
  readonly resourceURL: UrlWithParsedQuery;
  readonly httpRequest: IncomingMessage;
  readonly remoteAddress: string;
  readonly webSocketVersion: number;
  readonly requestedExtensions: IExtension[];
  readonly cookies: IRequestCookie[];
  accept(origin?: string | null, cookies?: ICookie[]): connection;
  reject(httpStatus?: number, reason?: string, extraHeaders?: Record<string, unknown>): void;
}

export interface IMessageEvent {
  readonly type: 'message';
  readonly target: w3cwebsocket;
  readonly data: string | ArrayBuffer;
}

export interface ICloseEvent {
  readonly type: 'close';
  readonly target: w3cwebsocket;
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;
}

export interface ISocketEvent {
  readonly type: string;
  readonly target: w3cwebsocket;
}

interface W3CEvents {
  open: ISocketEvent;
  message: IMessageEvent;
  error: ISocketEvent;
  close: ICloseEvent;
}

/** The WebSocket of browsers. */
export class w3cwebsocket {
  static readonly CONNECTING: 0;
  static readonly OPEN: 1;
  static readonly CLOSING: 2;
  static readonly CLOSED: 3;
  constructor(
    url: string,
    protocols?: string | string[] | null,
    origin?: string | null,
    headers?: OutgoingHttpHeaders | null,
    requestOptions?: ClientRequestArgs | null,
    clientConfig?: IClientConfig,
  );
  readonly CONNECTING: 0;
  readonly OPEN: 1;
  readonly CLOSING: 2;
  readonly CLOSED: 3;
  readonly url: string;
  readonly readyState: 0 | 1 | 2 | 3;
  readonly protocol: string | undefined;
  readonly extensions: string | IExtension[];
  readonly bufferedAmount: number;
  binaryType: 'arraybuffer';
  onopen?: ((this: this, event: ISocketEvent) => void) | null;
  onmessage?: ((this: this, event: IMessageEvent) => void) | null;
  onerror?: ((this: this, event: ISocketEvent) => void) | null;
  onclose?: ((this: this, event: ICloseEvent) => void) | null;
  send(data: string | ArrayBufferView | ArrayBufferLike): void;
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
