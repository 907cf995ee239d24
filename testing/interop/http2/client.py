#!/usr/bin/env python3
"""A client of WebSockets over HTTP/2 on PyPI's `h2`, with frames made by hand. Run by http2.py.

  client.py --url http://HOST:PORT/ [--ca FILE]

Prints a line for each scenario, `ok` or `FAIL`, and exits with 0 if all are ok. All scenarios after the
first use one HTTP/2 connection, so that each shows that the one before left it intact.
"""
import argparse
import os
import socket
import ssl
import struct
import sys
import time
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

TIMEOUT = 20
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def frame(opcode, payload=b"", fin=True, masked=True):
    """Makes a frame of RFC 6455."""
    head = bytes([opcode | (0x80 if fin else 0)])
    bit, length = (0x80 if masked else 0), len(payload)
    if length < 126:
        head += bytes([bit | length])
    elif length < 1 << 16:
        head += bytes([bit | 126]) + struct.pack(">H", length)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", length)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    repeated = (mask * (length // 4 + 1))[:length]
    xored = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
    return head + mask + xored.to_bytes(length, "big")


class Client:
    """An HTTP/2 connection, and what has arrived on each of its streams."""

    def __init__(self, url, ca):
        url = urlsplit(url)
        self.scheme, self.authority = url.scheme, url.netloc
        self.socket = socket.create_connection((url.hostname, url.port), TIMEOUT)
        if url.scheme == "https":
            context = ssl.create_default_context(cafile=ca)
            context.set_alpn_protocols(["h2"])
            self.socket = context.wrap_socket(self.socket, server_hostname=url.hostname)
            assert self.socket.selected_alpn_protocol() == "h2", "ALPN did not choose h2"
        config = h2.config.H2Configuration(client_side=True)
        self.http = h2.connection.H2Connection(config=config)
        self.http.initiate_connection()
        self.headers, self.data, self.ended, self.reset, self.gone = {}, {}, set(), {}, None
        self.flush()

    def flush(self):
        self.socket.sendall(self.http.data_to_send())

    def until(self, condition, what):
        """Handles what arrives until the condition holds."""
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            left = deadline - time.monotonic()
            assert left > 0, f"no {what} in time"
            self.socket.settimeout(left)
            received = self.socket.recv(1 << 16)
            assert received, f"the server closed the connection before {what}"
            for event in self.http.receive_data(received):
                self.handle(event)
            self.flush()

    def handle(self, event):
        if isinstance(event, h2.events.ResponseReceived):
            self.headers[event.stream_id] = {as_text(k): as_text(v) for k, v in event.headers}
        elif isinstance(event, h2.events.DataReceived):
            self.data[event.stream_id] = self.data.get(event.stream_id, b"") + event.data
            self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self.ended.add(event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            self.reset[event.stream_id] = event.error_code
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.gone = event.error_code

    def request(self, method, path="/", extra=(), **pseudo):
        """Sends the head of a request on a new stream."""
        stream = self.http.get_next_available_stream_id()
        headers = [(":method", method), *((f":{name}", value) for name, value in pseudo.items()),
                   (":scheme", self.scheme), (":path", path), (":authority", self.authority)]
        self.http.send_headers(stream, [*headers, *extra], end_stream=method == "GET")
        self.flush()
        return stream

    def connect(self, path="/", protocol="websocket", version="13", extra=()):
        version = [("sec-websocket-version", version)] if version else []
        return self.request("CONNECT", path, [*version, *extra], protocol=protocol)

    def status(self, stream):
        self.until(lambda: stream in self.headers or stream in self.reset, "response")
        assert stream in self.headers, f"reset with {self.reset.get(stream)}"
        return int(self.headers[stream][":status"])

    def open(self, **options):
        stream = self.connect(**options)
        status = self.status(stream)
        assert status == 200, f"status {status}"
        return stream

    def send(self, stream, data, size=None):
        """Sends data as flow control allows, in DATA frames of at most this size."""
        while data:
            window = self.http.local_flow_control_window(stream)
            window = min(window, self.http.max_outbound_frame_size, size or len(data))
            if window == 0:
                before = self.http.local_flow_control_window(stream)
                self.until(lambda: self.http.local_flow_control_window(stream) > before, "window")
                continue
            self.http.send_data(stream, data[:window])
            self.flush()
            data = data[window:]

    def receive(self, stream):
        """Returns the opcode and the payload of the next frame, whose mask bit must be 0."""
        head = self.take(stream, 2)
        assert head[0] & 0x70 == 0, "a reserved bit is set"
        assert head[1] & 0x80 == 0, "the server has masked a frame"
        length = head[1]
        if length == 126:
            length = struct.unpack(">H", self.take(stream, 2))[0]
        elif length == 127:
            length = struct.unpack(">Q", self.take(stream, 8))[0]
        return head[0] & 0x0F, head[0] & 0x80 != 0, self.take(stream, length)

    def message(self, stream):
        opcode, fin, payload = self.receive(stream)
        while not fin:
            _, fin, more = self.receive(stream)
            payload += more
        return opcode, payload

    def take(self, stream, count):
        held = lambda: self.data.get(stream, b"")  # noqa: E731
        self.until(lambda: len(held()) >= count or self.is_over(stream), f"{count} bytes")
        data = held()
        assert len(data) >= count, f"stream {stream} ended"
        self.data[stream] = data[count:]
        return data[:count]

    def is_over(self, stream):
        return stream in self.ended or stream in self.reset or self.gone is not None

    def echo(self, stream, opcode, payload, size=None):
        self.send(stream, frame(opcode, payload), size)
        got = self.message(stream)
        assert got == (opcode, payload), f"{len(payload)} bytes came back as others"

    def close(self, stream, code=1000):
        self.send(stream, frame(CLOSE, struct.pack(">H", code)))
        assert self.receive(stream) == (CLOSE, True, struct.pack(">H", code))
        # RFC 8441, section 5: the end of TCP is END_STREAM.
        self.until(lambda: stream in self.ended, "END_STREAM")
        # RFC 9113, section 8.1: the server is done, so that it may reset the stream with NO_ERROR.
        assert self.reset.get(stream, 0) == 0, f"reset with {self.reset[stream]}"
        if stream not in self.reset:
            self.http.end_stream(stream)
            self.flush()


def as_text(value):
    return value.decode() if isinstance(value, bytes) else value


def settings(client):
    key = h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL
    client.until(lambda: client.http.remote_settings.get(key) == 1, "SETTINGS_ENABLE_CONNECT_PROTOCOL")
    assert client.http.remote_settings.initial_window_size == 65_536


def opening(client):
    stream = client.open(extra=[("sec-websocket-protocol", "chat.v1"), ("sec-websocket-extensions",
                                "permessage-deflate; client_max_window_bits")])
    headers = client.headers[stream]
    assert "sec-websocket-accept" not in headers and "upgrade" not in headers, headers
    client.close(stream)


def echoes(client):
    stream = client.open()
    client.echo(stream, TEXT, "Grüße, 世界 🚢".encode())
    for length in [0, 1, 125, 126, 65_535, 65_536, 1_000_000]:
        client.echo(stream, BINARY, os.urandom(length))
    client.close(stream)


def split(client):
    """A DATA frame for each byte, and many frames in one."""
    stream = client.open()
    client.echo(stream, TEXT, "Ἑλλάς".encode(), size=1)
    client.send(stream, b"".join(frame(TEXT, str(i).encode()) for i in range(1000)))
    for i in range(1000):
        assert client.message(stream) == (TEXT, str(i).encode())
    client.send(stream, frame(TEXT, b"ship", fin=False) + frame(PING, b"?")
                + frame(CONTINUATION, b" ahoy"))
    assert client.receive(stream) == (PONG, True, b"?")
    assert client.message(stream) == (TEXT, b"ship ahoy")
    client.close(stream)


def tiny(client):
    """As many DATA frames as the window has room for, and ten times more, each with one message."""
    stream = client.open()
    for _ in range(10):
        batch = [frame(BINARY, b"7") for _ in range(2000)]
        for message in batch:
            client.send(stream, message)
        for _ in batch:
            assert client.message(stream) == (BINARY, b"7")
    client.close(stream)


def neighbours(client):
    """Many WebSockets and a page on one connection; the reset of one leaves the others alone."""
    streams = [client.open(path=f"/{index}") for index in range(50)]
    page = client.request("GET")
    client.http.reset_stream(streams[0], h2.errors.ErrorCodes.CANCEL)
    client.flush()
    for index, stream in enumerate(streams[1:]):
        client.echo(stream, TEXT, str(index).encode())
    assert client.status(page) == 200
    for stream in streams[1:]:
        client.close(stream)


def half_closed(client):
    """A close frame with END_STREAM behind it is answered."""
    stream = client.open()
    client.send(stream, frame(CLOSE, struct.pack(">H", 1000)))
    client.http.end_stream(stream)
    client.flush()
    assert client.receive(stream) == (CLOSE, True, struct.pack(">H", 1000))
    client.until(lambda: stream in client.ended, "END_STREAM")


def violation(client):
    """A frame without a mask is a violation of RFC 6455, not of HTTP/2."""
    stream = client.open()
    client.send(stream, frame(TEXT, b"bare", masked=False))
    opcode, _, payload = client.receive(stream)
    assert (opcode, payload[:2]) == (CLOSE, struct.pack(">H", 1002)), payload
    client.until(lambda: client.is_over(stream), "end of the stream")


def refusals(client):
    for status, options in [
        (400, {"version": None}),
        (400, {"version": "12"}),
        # Not a WebSocket, so it is for the page, which knows GET and HEAD.
        (405, {"protocol": "connect-udp"}),
    ]:
        stream = client.connect(**options)
        assert client.status(stream) == status, f"{options}: {client.headers[stream]}"
        if not client.is_over(stream):
            client.http.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
            client.flush()
    stream = client.open()
    client.close(stream)


SCENARIOS = [settings, opening, echoes, split, tiny, neighbours, half_closed, violation, refusals]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--ca")
    options = parser.parse_args()
    client, failed = Client(options.url, options.ca), False
    for scenario in SCENARIOS:
        name = scenario.__name__.replace("_", "-")
        try:
            scenario(client)
            print(f"ok {name}", flush=True)
        except (AssertionError, OSError, h2.exceptions.H2Error) as error:
            print(f"FAIL {name}: {type(error).__name__} {error}", flush=True)
            failed = True
            client = Client(options.url, options.ca)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
