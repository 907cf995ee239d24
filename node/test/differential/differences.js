'use strict';
// Where a program can tell this package from npm `websocket`, on purpose. Each title stands in
// COMPATIBILITY.md, with its reason; `theirs` and `ours` are the lines that only one log has.

/** What holds in every scenario, and is taken out of the lines. */
const general = [{ title: 'Errors have a code.' }, { title: 'Keepalive pings have a payload.' }];

const OUR_CODES =
  /Error ERR_(CLOSED|HANDSHAKE|HTTP_RESPONSE|INVALID_(ARG_(TYPE|VALUE)|HANDSHAKE_OPTION|SEND|URL)|REQUEST_GONE): /;

/** A number of the connection, and that of the ping. */
const KEEPALIVE = /"?Buffer\([\da-f]{8}0{6}[\da-f]{2}\)"?$/;

const withoutGeneral = (line) => line.replace(OUR_CODES, 'Error: ').replace(KEEPALIVE, '"Buffer()"');

const list = [
  {
    title: 'A peer is not dropped while bytes of it lie unread.',
    scenarios: {
      'keepalive: a paused connection': {
        theirs: ['connection: \'close\' 1006 "Peer not responding."', 'connection: in the end false 1006'],
        ours: ['connection: in the end true -1'],
      },
    },
  },
  {
    title: 'Fields of frames.',
    scenarios: {
      'frame: a new one': {
        theirs: [
          'frame: fin "[undefined]"',
          'frame: rsv1 "[undefined]"',
          'frame: rsv2 "[undefined]"',
          'frame: rsv3 "[undefined]"',
          'frame: mask "[undefined]"',
          'frame: opcode "[undefined]"',
          'frame: length "[undefined]"',
          'frame: maxReceivedFrameSize 1000',
          'frame: protocolError false',
          'frame: frameTooLarge false',
          'frame: invalidCloseFrameLength false',
        ],
        ours: [
          'frame: fin false',
          'frame: rsv1 false',
          'frame: rsv2 false',
          'frame: rsv3 false',
          'frame: mask false',
          'frame: opcode 0',
          'frame: length 0',
          'frame: maxReceivedFrameSize "[undefined]"',
          'frame: protocolError "[undefined]"',
          'frame: frameTooLarge "[undefined]"',
          'frame: invalidCloseFrameLength "[undefined]"',
        ],
      },
      'frame: toBuffer': {
        theirs: ['frame: text "Opcode: 9, fin: true, length: undefined, hasPayload: false, masked: true"'],
        ours: ['frame: text "Opcode: 9, fin: true, length: 0, hasPayload: false, masked: true"'],
      },
    },
  },
  {
    title: 'A malformed cookie does not spoil the handshake.',
    scenarios: {
      'server: a cookie that is not URL-encoded': {
        theirs: [
          'peer: status "HTTP/1.1 400 Bad Request"',
          `server: 'upgradeError' "URIError: URI malformed"`,
        ],
        ours: [
          'peer: status "HTTP/1.1 101 Switching Protocols"',
          'request: cookies [{"name":"broken","value":"%E0%A4%A"},{"name":"fine","value":" "}]',
          `server: 'connect' "[connection]"`,
        ],
      },
    },
  },
  {
    title: 'Servers on one HTTP server can share it.',
    scenarios: {
      'server: two on one http server, the second rejects what the first accepts': {
        theirs: [
          `a: 'close' "[connection]" 1006 "Connection dropped by remote peer."`,
          'peer: echo "nothing"',
        ],
        ours: ['peer: echo "text" "unmasked" "/a ahoy"'],
      },
      'server: two on one http server, one closes what is open and refuses what waits': {
        theirs: [
          `a: 'close' "[connection]" 1006 "Connection dropped by remote peer."`,
          'peer: echo "nothing"',
        ],
        ours: ['peer: echo "text" "unmasked" "/a ahoy"'],
      },
    },
  },
  {
    title: 'A key must be a key.',
    scenarios: {
      'server: the key "short"': {
        theirs: ['peer: status "HTTP/1.1 101 Switching Protocols"', `server: 'connect' "[connection]"`],
        ours: [
          'peer: status "HTTP/1.1 400 Bad Request"',
          `server: 'upgradeError' "Error: Sec-WebSocket-Key must be 16 bytes in base64."`,
        ],
      },
      'server: the key "dGhlIHNhbXBsZSBub25jZQ"': {
        theirs: ['peer: status "HTTP/1.1 101 Switching Protocols"', `server: 'connect' "[connection]"`],
        ours: [
          'peer: status "HTTP/1.1 400 Bad Request"',
          `server: 'upgradeError' "Error: Sec-WebSocket-Key must be 16 bytes in base64."`,
        ],
      },
      'server: the key "xxxxxxxxxxxxxxxxxxxxxxxx"': {
        theirs: ['peer: status "HTTP/1.1 101 Switching Protocols"', `server: 'connect' "[connection]"`],
        ours: [
          'peer: status "HTTP/1.1 400 Bad Request"',
          `server: 'upgradeError' "Error: Sec-WebSocket-Key must be 16 bytes in base64."`,
        ],
      },
    },
  },
  {
    title: 'A malformed list of extensions is refused.',
    scenarios: {
      'server: a list of extensions that is malformed': {
        theirs: ['peer: status "HTTP/1.1 101 Switching Protocols"'],
        ours: ['peer: status "HTTP/1.1 400 Bad Request"'],
      },
      'request: a quoted value in the list of extensions': {
        theirs: ['request: extensions [{"name":"x","params":[{"name":"q","value":"\\"v\\""}]}]'],
        ours: ['request: extensions [{"name":"x","params":[{"name":"q","value":"v"}]}]'],
      },
    },
  },
  {
    title: 'Bytes right behind the handshake are not lost.',
    scenarios: {
      'server: the first frame in one packet with the handshake': {
        theirs: [],
        ours: [`connection: 'message' {"type":"utf8","utf8Data":"eager"}`],
      },
    },
  },
  {
    title: 'The accepted protocol is compared without case.',
    scenarios: {
      'accept: a protocol in other letters': {
        theirs: [
          'peer: response "HTTP/1.1 500 Internal Server Error\\r\\nConnection: close"',
          'request: rejected',
          'request: accept "throws" "Error: Specified protocol was not requested by the client."',
          'server: connections 0',
        ],
        ours: [
          'peer: response "HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\\r\\nSec-WebSocket-Protocol: chat"',
          'request: accept "returns" "[connection]"',
          'server: connections 1',
        ],
      },
    },
  },
  {
    title: 'Errors have a code.',
    scenarios: {
      'accept: a protocol that cannot be one': {
        theirs: ['request: accept "throws" "Error: Illegal character \\"\\u0000\\" in subprotocol."'],
        ours: ['request: accept "throws" "Error: Illegal character \\" \\" in subprotocol."'],
      },
    },
  },
  {
    title: `Status lines have Node's words.`,
    scenarios: {
      'reject: [299,"an unknown status"]': {
        theirs: [
          'peer: response "HTTP/1.1 299 undefined\\r\\nConnection: close\\r\\nX-WebSocket-Reject-Reason: an unknown status"',
        ],
        ours: [
          'peer: response "HTTP/1.1 299 Unknown\\r\\nConnection: close\\r\\nX-WebSocket-Reject-Reason: an unknown status"',
        ],
      },
      'router: reject': {
        theirs: [
          'peer: response "HTTP/1.1 418 undefined\\r\\nConnection: close\\r\\nX-WebSocket-Reject-Reason: teapot\\r\\nX-A: b"',
        ],
        ours: [
          `peer: response "HTTP/1.1 418 I'm a Teapot\\r\\nConnection: close\\r\\nX-WebSocket-Reject-Reason: teapot\\r\\nX-A: b"`,
        ],
      },
    },
  },
  {
    title: 'Sending on a connection that closes is refused.',
    scenarios: {
      'send: after close()': {
        theirs: [
          `connection: 'error' "Error ERR_STREAM_WRITE_AFTER_END: write after end"`,
          `connection: 'close' 1006 "Socket Error: undefined ERR_STREAM_WRITE_AFTER_END"`,
        ],
        ours: [`connection: 'close' 1000 "Normal connection closure"`],
      },
    },
  },
  {
    title: 'Options are read when the connection begins.',
    scenarios: {
      'send: the configuration can be changed, and replaced': {
        theirs: ['peer: changed [4,4,2]', 'peer: replaced [6,4]'],
        ours: ['peer: changed [10]', 'peer: replaced [10]'],
      },
      'closeTimeout: the peer neither answers nor hangs up (property)': {
        theirs: ['connection: in the end "closed" false'],
        ours: ['connection: in the end "ending" false'],
      },
      'limits: maxReceivedMessageSize of the connection can be changed': {
        theirs: [
          `connection: 'close' 1009 "Maximum message size exceeded."`,
          'connection: closed 1009 "Maximum message size exceeded."',
          'peer: got "close" "unmasked" 1009 "Maximum message size exceeded."',
        ],
        ours: [
          `connection: 'message' {"type":"utf8","utf8Data":"aaaaaaaaaaaa"}`,
          'connection: closed -1 null',
          'peer: got "pong" "unmasked" "Buffer()"',
        ],
      },
    },
  },
  {
    title: 'Pings and pongs are cut at 125 bytes.',
    scenarios: {
      'ping and pong: payloads': {
        theirs: [
          'peer: ping "ping" "unmasked" "Buffer(124 bytes, sha1 040b0ff27535)"',
          'peer: ping "ping" "unmasked" "Buffer(124 bytes, sha1 f7e76240ebe3)"',
          'peer: pong "pong" "unmasked" "Buffer(124 bytes, sha1 f7e76240ebe3)"',
        ],
        ours: [
          'peer: ping "ping" "unmasked" "Buffer(125 bytes, sha1 cef5f6485913)"',
          'peer: ping "ping" "unmasked" "Buffer(125 bytes, sha1 0dd4415024e5)"',
          'peer: pong "pong" "unmasked" "Buffer(125 bytes, sha1 0dd4415024e5)"',
        ],
      },
    },
  },
  {
    title: 'Pings are answered when they arrive.',
    scenarios: {
      'message: replies of one chunk keep their order': {
        theirs: ['peer: got "pong" "unmasked" "Buffer(736576656e)"'],
        ours: ['peer: got "pong" "unmasked" "Buffer(736576656e)"'],
      },
    },
  },
  {
    title: 'Frames made by hand must be frames.',
    scenarios: {
      'sendFrame: a reserved opcode': {
        theirs: ['connection: sendFrame "returns" true', 'peer: got 5 "rsv 3" "unmasked" "Buffer()"'],
        ours: ['connection: sendFrame "throws" "Error: Cannot send a frame with the reserved opcode 5"'],
      },
      'sendFrame: a continuation of nothing': {
        theirs: ['connection: sendFrame "returns" true', 'peer: got "continuation" "unmasked" "Buffer()"'],
        ours: ['connection: sendFrame "throws" "Error: continuation frame, but no message is unfinished"'],
      },
      'sendFrame: a message within a message': {
        theirs: ['connection: sendFrame "returns" true', 'peer: got "binary" "unmasked" "Buffer()"'],
        ours: [
          'connection: sendFrame "throws" "Error: first frame of a message, but the last one is unfinished"',
        ],
      },
      'sendFrame: a fragment of a ping': {
        theirs: [
          'connection: sendFrame "returns" true',
          'peer: got "ping" "unfinished" "unmasked" "Buffer()"',
        ],
        ours: [`connection: sendFrame "throws" "Error: a control frame can't be a fragment"`],
      },
      'sendFrame: a long ping': {
        theirs: [
          'connection: sendFrame "returns" true',
          'peer: got "ping" "unmasked" "Buffer(126 bytes, sha1 339820e6c5f6)"',
        ],
        ours: ['connection: sendFrame "throws" "Error: control frame of 126 bytes: at most 125 are allowed"'],
      },
      'sendFrame: a message sent while one made by hand is not finished': {
        theirs: ['peer: got "continuation" "unmasked" "Buffer(67756e)"'],
        ours: ['peer: got "continuation" "unmasked" "Buffer(67756e)"'],
      },
    },
  },
  {
    title: 'With `assembleFragments: false`, a message in a single frame is emitted too.',
    scenarios: {
      'assembleFragments: false gives frames': {
        theirs: [],
        ours: [
          `connection: 'message' {"type":"utf8","utf8Data":"whole"}`,
          `connection: 'message' {"type":"binary","binaryData":"Buffer(200 bytes, sha1 3c2086d0ccb7)"}`,
          `connection: 'message' {"type":"binary","binaryData":"Buffer()"}`,
        ],
      },
      'assembleFragments: false, and what is against the rules': {
        theirs: [
          `a continuation of nothing: 'frame' 0 true "Buffer(78)"`,
          'a continuation of nothing: connected true',
          `a reserved opcode: 'frame' 3 true "Buffer()"`,
          `a second beginning: 'frame' 1 true "Buffer(62)"`,
          'a second beginning: connected true',
          `bad text: 'frame' 1 true "Buffer(ff)"`,
          'bad text: connected true',
        ],
        ours: [
          `a continuation of nothing: 'close' 1002 "Unexpected Continuation Frame"`,
          'a continuation of nothing: connected false',
          `a second beginning: 'close' 1002 "Illegal frame opcode 0x1 received in middle of fragmented message."`,
          'a second beginning: connected false',
          `bad text: 'close' 1007 "Invalid UTF-8 Data Received"`,
          'bad text: connected false',
        ],
      },
    },
  },
  {
    title: 'Only codes for the wire go on the wire.',
    scenarios: {
      'close: a reason that is too long': {
        theirs: ['peer: got "close" 126'],
        ours: ['peer: got "close" 125'],
      },
      'drop: [1006,"odd"]': {
        theirs: ['peer: got "close" "unmasked" 1006 "odd"'],
        ours: ['peer: got "close" "unmasked" "Buffer()"'],
      },
      'drop: [77]': {
        theirs: ['peer: got "close" "unmasked" 77 ""'],
        ours: ['peer: got "close" "unmasked" "Buffer()"'],
      },
    },
  },
  {
    title: 'A close is answered with its own code.',
    scenarios: {
      'the peer closes: a reason': {
        theirs: ['peer: got "close" "unmasked" 1000 ""'],
        ours: ['peer: got "close" "unmasked" 4002 ""'],
      },
      'the peer closes: 1001': {
        theirs: ['peer: got "close" "unmasked" 1000 ""'],
        ours: ['peer: got "close" "unmasked" 1001 ""'],
      },
      'the peer closes: 1012': {
        theirs: ['peer: got "close" "unmasked" 1000 ""'],
        ours: ['peer: got "close" "unmasked" 1012 ""'],
      },
      'the peer closes: 3999': {
        theirs: ['peer: got "close" "unmasked" 1000 ""'],
        ours: ['peer: got "close" "unmasked" 3999 ""'],
      },
    },
  },
  {
    title: 'A close frame without a code is 1005.',
    scenarios: {
      'the peer closes: nothing at all': {
        theirs: [
          `connection: 'close' 1006 "Connection dropped by remote peer."`,
          'connection: closed false 1006 "Connection dropped by remote peer."',
          'peer: got "close" "unmasked" 1000 ""',
        ],
        ours: [
          `connection: 'close' 1005 "Reason not provided"`,
          'connection: closed false 1005 "Reason not provided"',
          'peer: got "close" "unmasked" "Buffer()"',
        ],
      },
      'w3c: the peer closes with no code': {
        theirs: ['socket: onclose "close" 1006 "Connection dropped by remote peer." false 3 true true'],
        ours: ['socket: onclose "close" 1005 "Reason not provided" true 3 true true'],
      },
    },
  },
  {
    title: 'A short reason is a reason.',
    scenarios: {
      'the peer closes wrongly: a reason of one byte that is no text': {
        theirs: [
          `connection: 'close' 1000 "Normal connection closure"`,
          'peer: got "close" "unmasked" 1000 ""',
        ],
        ours: [
          `connection: 'close' 1007 "Invalid UTF-8 Data Received"`,
          'peer: got "close" "unmasked" 1007 "Invalid UTF-8 Data Received"',
        ],
      },
    },
  },
  {
    title: 'Peers that break the protocol are closed on.',
    scenarios: {
      'the peer closes wrongly: code 0': {
        theirs: [`connection: 'close' 0 "[undefined]"`, 'peer: got "close" "unmasked" 1002 ""'],
        ours: [
          `connection: 'close' 1002 "Close frame with the code 0, which must not be sent"`,
          'peer: got "close" "unmasked" 1002 "Close frame with the code 0, which must not be sent"',
        ],
      },
      'the peer closes wrongly: code 999': {
        theirs: [`connection: 'close' 999 "[undefined]"`, 'peer: got "close" "unmasked" 1002 ""'],
        ours: [
          `connection: 'close' 1002 "Close frame with the code 999, which must not be sent"`,
          'peer: got "close" "unmasked" 1002 "Close frame with the code 999, which must not be sent"',
        ],
      },
      'the peer closes wrongly: code 1004': {
        theirs: [`connection: 'close' 1004 "Reserved"`, 'peer: got "close" "unmasked" 1002 ""'],
        ours: [
          `connection: 'close' 1002 "Close frame with the code 1004 (reserved), which must not be sent"`,
          'peer: got "close" "unmasked" 1002 "Close frame with the code 1004 (reserved), which must not be sent"',
        ],
      },
      'the peer closes wrongly: code 1005': {
        theirs: [`connection: 'close' 1005 "Reason not provided"`, 'peer: got "close" "unmasked" 1002 ""'],
        ours: [
          `connection: 'close' 1002 "Close frame with the code 1005 (no status received), which must not be sent"`,
          'peer: got "close" "unmasked" 1002 "Close frame with the code 1005 (no status received), which must not be sent"',
        ],
      },
      'the peer closes wrongly: code 1006': {
        theirs: [
          `connection: 'close' 1006 "Abnormal closure, no further detail available"`,
          'peer: got "close" "unmasked" 1002 ""',
        ],
        ours: [
          `connection: 'close' 1002 "Close frame with the code 1006 (abnormal closure), which must not be sent"`,
          'peer: got "close" "unmasked" 1002 "Close frame with the code 1006 (abnormal closure), which must not be sent"',
        ],
      },
      'the peer closes wrongly: code 1015': {
        theirs: [`connection: 'close' 1015 "TLS Handshake Failed"`, 'peer: got "close" "unmasked" 1000 ""'],
        ours: [
          `connection: 'close' 1002 "Close frame with the code 1015 (TLS handshake failed), which must not be sent"`,
          'peer: got "close" "unmasked" 1002 "Close frame with the code 1015 (TLS handshake failed), which must not be sent"',
        ],
      },
      'the peer closes wrongly: code 1016': {
        theirs: [`connection: 'close' 1016 "[undefined]"`, 'peer: got "close" "unmasked" 1002 ""'],
        ours: [
          `connection: 'close' 1002 "Close frame with the code 1016, which must not be sent"`,
          'peer: got "close" "unmasked" 1002 "Close frame with the code 1016, which must not be sent"',
        ],
      },
      'the peer closes wrongly: code 2999': {
        theirs: [`connection: 'close' 2999 "[undefined]"`, 'peer: got "close" "unmasked" 1002 ""'],
        ours: [
          `connection: 'close' 1002 "Close frame with the code 2999, which must not be sent"`,
          'peer: got "close" "unmasked" 1002 "Close frame with the code 2999, which must not be sent"',
        ],
      },
      'the peer closes wrongly: code 5000': {
        theirs: [`connection: 'close' 5000 "[undefined]"`, 'peer: got "close" "unmasked" 1002 ""'],
        ours: [
          `connection: 'close' 1002 "Close frame with the code 5000, which must not be sent"`,
          'peer: got "close" "unmasked" 1002 "Close frame with the code 5000, which must not be sent"',
        ],
      },
      'the peer closes wrongly: one byte': {
        theirs: [`connection: 'close' 1005 "Reason not provided"`, 'peer: got "close" "unmasked" 1002 ""'],
        ours: [
          `connection: 'close' 1002 "Close frame with one byte of payload"`,
          'peer: got "close" "unmasked" 1002 "Close frame with one byte of payload"',
        ],
      },
      'lengths: 16 and 64 bits where fewer would do': {
        theirs: [
          `connection: 'message' {"type":"utf8","utf8Data":"short"}`,
          `connection: 'message' {"type":"binary","binaryData":"Buffer(200 bytes, sha1 e61cfffe0d91)"}`,
          'connection: connected true',
          'peer: got "pong" "unmasked" "Buffer(7374696c6c2074686572653f)"',
        ],
        ours: [
          `connection: 'close' 1002 "frame with the length 5 in more bytes than it needs"`,
          'connection: connected false',
          'peer: got "close" "unmasked" 1002 "frame with the length 5 in more bytes than it needs"',
        ],
      },
      'text: bad UTF-8 in a message that is not finished': {
        theirs: ['connection: so far true'],
        ours: [`connection: 'close' 1007 "Invalid UTF-8 Data Received"`, 'connection: so far false'],
      },
      'masks: as they must not be (server)': {
        theirs: [
          `connection: 'message' {"type":"utf8","utf8Data":"wrongly masked"}`,
          'connection: so far true',
        ],
        ours: [`connection: 'close' 1002 "unmasked frame from a client"`, 'connection: so far false'],
      },
      'masks: as they must not be (client)': {
        theirs: [
          `connection: 'message' {"type":"utf8","utf8Data":"wrongly masked"}`,
          'connection: so far true',
        ],
        ours: [`connection: 'close' 1002 "masked frame from a server"`, 'connection: so far false'],
      },
    },
  },
  {
    title: 'Nobody waits for ever.',
    scenarios: {
      'closeTimeout: the peer neither answers nor hangs up (option)': {
        theirs: ['connection: in the end "closed" false'],
        ours: [
          `connection: 'close' 1000 "patience"`,
          'connection: after its time true',
          'connection: in the end "closed" true',
        ],
      },
    },
  },
  {
    title: 'Frames of more than 4 GiB are too large, and not unsupported.',
    scenarios: {
      'faults: a length of more than 32 bits': {
        theirs: [
          `connection: 'close' 1002 "Unsupported 64-bit length frame received"`,
          'connection: closed false 1002 "Unsupported 64-bit length frame received"',
          'peer: got "close" "unmasked" 1002 "Unsupported 64-bit length frame received"',
        ],
        ours: [
          `connection: 'close' 1009 "Frame size of 1099511627776 bytes exceeds maximum accepted frame size"`,
          'connection: closed false 1009 "Frame size of 1099511627776 bytes exceeds maximum accepted frame size"',
          'peer: got "close" "unmasked" 1009 "Frame size of 1099511627776 bytes exceeds maximum accepted frame size"',
        ],
      },
    },
  },
  {
    title: 'Fragments are bounded.',
    scenarios: {
      'faults: very many empty fragments': {
        theirs: ['connection: connected true -1', 'peer: got "pong"'],
        ours: [
          `connection: 'close' 1009 "Maximum number of fragments exceeded."`,
          'connection: connected false 1009',
          'peer: got "close"',
        ],
      },
    },
  },
  {
    title: 'A URL object can be connected to.',
    scenarios: {
      'client: the request, a URL object': {
        theirs: [
          'request: head "GET / HTTP/1.1\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: KEY\\r\\nHost: 127.0.0.1:PORT"',
        ],
        ours: [
          'request: head "GET /object?x=1 HTTP/1.1\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: KEY\\r\\nHost: 127.0.0.1:PORT"',
        ],
      },
    },
  },
  {
    title: 'The client is strict about the answer.',
    scenarios: {
      'client: the answer has an extension that was not asked for': {
        theirs: ['client: connect "[undefined]" []'],
        ours: ['client: connectFailed "Error" "Server responded with an extension that was not requested."'],
      },
      'client: the answer has a protocol though none was asked for': {
        theirs: ['client: connect "[undefined]" []'],
        ours: ['client: connectFailed "Error" "Server did not respond with a requested protocol."'],
      },
    },
  },
  {
    title: '`abort()` is always told.',
    scenarios: {
      'client: abort at once, and after connecting': {
        theirs: [],
        ours: [`early: 'connectFailed' "Error ECONNRESET: socket hang up"`],
      },
    },
  },
  {
    title: 'A handler can be unmounted without its protocol.',
    scenarios: {
      'router: unmount without a protocol': {
        theirs: ['router: throws "TypeError"'],
        ours: ['router: returns 0'],
      },
    },
  },
  {
    title: 'Empty texts are events of `w3cwebsocket`.',
    scenarios: {
      'w3c: an empty text and empty bytes': {
        theirs: [],
        ours: ['socket: onmessage "message" "" 1 true true'],
      },
    },
  },
  {
    title: '`w3cwebsocket` sends all that is a view.',
    scenarios: {
      'w3c: send': {
        theirs: ['peer: got "binary" "masked" "Buffer()"'],
        ours: ['peer: got "binary" "masked" "Buffer(0706)"'],
      },
    },
  },
];

const twenty = (from, line) => Array.from({ length: 20 - from }, (_, n) => line(n + from));

list.push(
  {
    title: '`wasClean` says whether both ends have closed.',
    scenarios: {
      'w3c: send too early and too late': {
        theirs: ['socket: onclose "close" 1000 "Normal connection closure" true 3 true true'],
        ours: ['socket: onclose "close" 1000 "Normal connection closure" false 3 true true'],
      },
      'w3c: close []': {
        theirs: ['socket: onclose "close" 1000 "Normal connection closure" true 3 true true'],
        ours: ['socket: onclose "close" 1000 "Normal connection closure" false 3 true true'],
      },
      'w3c: close [1000]': {
        theirs: ['socket: onclose "close" 1000 "Normal connection closure" true 3 true true'],
        ours: ['socket: onclose "close" 1000 "Normal connection closure" false 3 true true'],
      },
      'w3c: close [null,"no code"]': {
        theirs: ['socket: onclose "close" 1000 "Normal connection closure" true 3 true true'],
        ours: ['socket: onclose "close" 1000 "Normal connection closure" false 3 true true'],
      },
      'w3c: the peer closes with a reason': {
        theirs: ['socket: onclose "close" 4001 "why" false 3 true true'],
        ours: ['socket: onclose "close" 4001 "why" true 3 true true'],
      },
      'w3c: close, and the peer answers': {
        theirs: ['socket: onclose "close" 4000 "why" false 3 true true'],
        ours: ['socket: onclose "close" 4000 "why" true 3 true true'],
      },
    },
  },
  {
    title: '`close` while connecting gives up connecting.',
    scenarios: {
      'w3c: closed while connecting': {
        theirs: ['peer: got "close" "masked" 4000 "never mind"', 'socket: close has returned'],
        ours: ['peer: got "nothing"', 'socket: close has returned'],
      },
    },
  },
  {
    title: 'A wrong close code leaves the socket as it is.',
    scenarios: {
      'w3c: close [999]': {
        theirs: ['socket: readyState 2'],
        ours: ['socket: readyState 1'],
      },
      'w3c: close [1005,"x"]': {
        theirs: ['socket: readyState 2'],
        ours: ['socket: readyState 1'],
      },
    },
  },
  {
    title: '`Blob` can be sent and received.',
    scenarios: {
      'w3c: a Blob': {
        theirs: ['socket: send "throws" "Error: unknown binary data:"'],
        ours: [
          'socket: send "returns" "[undefined]"',
          'peer: got "binary" "masked" "Buffer(6f66207061727473)"',
        ],
      },
      'w3c: constants and attributes': {
        theirs: [
          'w3c: binaryType blob "throws" "SyntaxError: just \\"arraybuffer\\" type allowed for \\"binaryType\\" attribute"',
          'w3c: closing: binaryType "arraybuffer"',
          'w3c: closed: binaryType "arraybuffer"',
        ],
        ours: [
          'w3c: binaryType blob "returns" "[undefined]"',
          'w3c: closing: binaryType "blob"',
          'w3c: closed: binaryType "blob"',
        ],
      },
    },
  },
  {
    title: 'User and password of a URL are sent.',
    scenarios: {
      'client: the request, a password in the url': {
        theirs: [
          'request: head "GET / HTTP/1.1\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: KEY\\r\\nHost: 127.0.0.1:PORT"',
        ],
        ours: [
          'request: head "GET / HTTP/1.1\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: KEY\\r\\nHost: 127.0.0.1:PORT\\r\\nAuthorization: Basic dXNlcjpwYXNz"',
        ],
      },
    },
  },
  {
    title: 'A URL may have other characters than ASCII.',
    scenarios: {
      'client: the request, an encoded path': {
        theirs: [
          'request: head "GET /a%20b/ü HTTP/1.1\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: KEY\\r\\nHost: 127.0.0.1:PORT"',
        ],
        ours: [
          'request: head "GET /a%20b/%C3%BC HTTP/1.1\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: KEY\\r\\nHost: 127.0.0.1:PORT"',
        ],
      },
    },
  },
  {
    title: 'Between two messages of a chunk, promises settle, and the loop does not turn.',
    scenarios: {
      'end: a rejection that nobody catches, in the second burst': {
        theirs: [],
        ours: twenty(8, (n) => `peer: got "text" "masked" "re: b ${n}"`),
      },
      'turns: timers and ticks of a handler, and the next message': {
        theirs: ['connection: the loop has turned true'],
        ours: ['connection: the loop has turned false'],
      },
    },
  },
  {
    title: 'What came before the end of the peer is received.',
    scenarios: {
      'turns: the peer ends its side right behind its messages': {
        theirs: [],
        ours: twenty(2, (n) => `connection: 'message' {"type":"utf8","utf8Data":"a ${n}"}`),
      },
    },
  },
);

module.exports = { general, list, withoutGeneral };
