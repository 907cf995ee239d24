#!/usr/bin/env python3
"""Reads the metrics of `towline serve` with the parser of Prometheus's client for Python.

  metrics.py -- target/release/towline serve --listen 127.0.0.1:0

Exit codes: 0 all is well; 1 it is not; 77 skipped, something is missing here.
"""
import base64
import os
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from harness import Failed, child, main, python  # noqa: E402

# As Prometheus sees them: name, type, and the labels of its samples.
EXPECTED = {
    "websocket_messages": ("counter", {"direction"}),
    "websocket_bytes": ("counter", {"direction"}),
    "websocket_frames": ("counter", {"direction"}),
    "websocket_wire_bytes": ("counter", {"direction"}),
    "websocket_pings": ("counter", {"direction"}),
    "websocket_connections": ("counter", set()),
    "websocket_handshakes": ("counter", {"status"}),
    "websocket_closes": ("counter", {"code"}),
    "websocket_connections_active": ("gauge", set()),
    "websocket_queue_bytes": ("gauge", set()),
    "http_server_active_requests": ("gauge", set()),
    "http_server_request_duration_seconds": ("histogram", {
        "http_request_method", "http_response_status_code", "network_protocol_version",
        "url_scheme"}),
    "websocket_connection_duration_seconds": ("histogram", {"code"}),
}


def frame(opcode, payload):
    """A frame of a client, masked with zeros."""
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + bytes(4) + payload


def read(stream, count):
    data = stream.recv(count, socket.MSG_WAITALL)
    if len(data) < count:
        raise Failed("the server has closed the connection")
    return data


def talk(address, messages):
    """Has messages echoed, and closes."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=30) as stream:
        key = base64.b64encode(os.urandom(16)).decode()
        stream.sendall(f"GET /?token=s3cret HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\n"
                       f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                       f"Sec-WebSocket-Key: {key}\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += read(stream, 1)
        for message in messages:
            stream.sendall(frame(1, message))
            read(stream, 2 + len(message))
        stream.sendall(frame(8, (1000).to_bytes(2, "big")))
        read(stream, 4)
        while stream.recv(1024):
            pass


def run():
    program = sys.argv[sys.argv.index("--") + 1:]
    interpreter = python(HERE / "requirements.txt", (3, 9))
    with child([*program, "--metrics", "127.0.0.1:0"]) as server:
        address = server.address()
        url = server.line(r"metrics on (http://\S+)", 30)[1]
        for _ in range(3):
            talk(address, [b"ahoy", b"ship"])
        with urllib.request.urlopen(url, timeout=30) as response:
            kind, text = response.headers["content-type"], response.read().decode()
    if not kind.startswith("text/plain; version=0.0.4"):
        raise Failed(f"the content type is {kind}")
    if "s3cret" in text:
        raise Failed("the metrics show a query")
    checked = subprocess.run([interpreter, HERE / "parse.py"], input=text, text=True,
                             capture_output=True)
    if checked.returncode != 0:
        raise Failed(checked.stdout + checked.stderr)
    print(checked.stdout, end="")


if __name__ == "__main__":
    main("metrics", run)
