#!/usr/bin/env python3
"""A peer for the interop suite, on PyPI's `websockets`. The contract is in README.md.

  websockets_peer.py serve --listen 127.0.0.1:PORT [--tls-cert FILE --tls-key FILE]
  websockets_peer.py client SCENARIO... --url ws://127.0.0.1:PORT [--ca FILE]
"""
import argparse
import asyncio
import json
import os
import ssl
import sys
import uuid
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory)

MAX = 64 * 1024 * 1024
MIB = 1024 * 1024
FRAGMENT = 997  # a prime: cuts characters of 2, 3 and 4 bytes everywhere
PROTOCOLS = ("chat.v1", "chat.v2")
# The required parameters of permessage-deflate, as JSON with the names of the RFC, or unset.
DEFLATE = json.loads(os.environ.get("TOWLINE_PEER_DEFLATE", "null"))


def compression(factory, **defaults):
    if DEFLATE is None:
        return {"compression": None}
    return {"compression": None, "extensions": [factory(**{**defaults, **DEFLATE})]}


def received_close(connection):
    """Returns the peer's close frame: (code, reason); 1006 for none."""
    close = connection.protocol.close_rcvd
    return (close.code, close.reason) if close else (1006, "")


async def send_fragmented(connection, message):
    data = message.encode() if isinstance(message, str) else message
    chunks = [data[at:at + FRAGMENT] for at in range(0, len(data), FRAGMENT)]
    await connection.send(chunks, text=isinstance(message, str))


# The server ------------------------------------------------------------------------------------

closes = {}  # id → future of the close frame that the connection with ?id= received


async def accepted(connection):
    url = urlsplit(connection.request.path)
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    key = query.get("id")
    if key and url.path != "/last-close":
        closes[key] = asyncio.get_running_loop().create_future()
    try:
        await converse(connection, url.path, query)
    except ConnectionClosed:
        pass
    finally:
        await connection.wait_closed()
        if key in closes and not closes[key].done():
            closes[key].set_result(received_close(connection))


async def converse(connection, path, query):
    if path == "/close":
        await connection.close(int(query["code"]), query["reason"])
        return
    if path == "/headers":
        headers = {name.lower(): value for name, value in connection.request.headers.raw_items()}
        await connection.send(json.dumps(headers))
    elif path == "/ping":
        await (await connection.ping(query["payload"]))
        await connection.send(f"pong {query['payload']}")
    elif path == "/last-close":
        close = closes.get(query["id"])
        record = dict(zip(("code", "reason"), await asyncio.shield(close))) if close else None
        await connection.send(json.dumps(record))
    async for message in connection:
        if path == "/fragmented":
            await send_fragmented(connection, message)
        else:
            await connection.send(message)


def choose_protocol(_, offered):
    return next((name for name in offered if name in PROTOCOLS), None)


def screen(connection, request):
    if request.path == "/reject":
        response = connection.respond(403, "")
        response.headers["X-WebSocket-Reject-Reason"] = "not here"
        return response
    return None


def server_tls(options):
    if not options.tls_cert:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.tls_cert, options.tls_key)
    if options.tls_client_ca:
        context.load_verify_locations(options.tls_client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def run_server(options):
    host, port = options.listen.split(":")
    async with serve(accepted, host, int(port), max_size=MAX, process_request=screen,
                     select_subprotocol=choose_protocol, ssl=server_tls(options),
                     **compression(ServerPerMessageDeflateFactory)) as server:
        print(f"listening on {host}:{server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()


# The client ------------------------------------------------------------------------------------

def expect(good, why):
    if not good:
        raise AssertionError(why)


async def returns(connection, message):
    reply = await connection.recv()
    expect(type(reply) is type(message), "text came back as binary, or binary as text")
    expect(reply == message, f"{len(message)} sent, {len(reply)} came back, and they differ")


async def echoes(connection, *messages):
    for message in messages:
        await connection.send(message)
        await returns(connection, message)


async def closes_well(connection):
    await connection.close()
    code, _ = received_close(connection)
    expect(code == 1000, f"the server answered our close with {code}")


class Scenarios:
    """One method per scenario. A returned connection is closed, and must close without an error."""

    def __init__(self, base, tls):
        self.base, self.tls = base, tls

    async def connect(self, path, **options):
        deflate = compression(ClientPerMessageDeflateFactory, client_max_window_bits=True)
        connection = await connect(self.base + path, max_size=MAX, proxy=None, ssl=self.tls,
                                   **deflate, **options)
        agreed = bool(connection.protocol.extensions)
        expect(agreed == (DEFLATE is not None), "compression was not agreed on, or unasked")
        return connection

    async def last_close(self, key):
        async with await self.connect(f"/last-close?id={key}") as connection:
            record = json.loads(await connection.recv())
            return record["code"], record["reason"]

    async def echo_text(self):
        connection = await self.connect("/")
        await echoes(connection, "hello", "Grüße, Ἑλλάς, 世界, 👩‍🚀🚢")
        return connection

    async def echo_binary(self):
        connection = await self.connect("/")
        await echoes(connection, bytes(range(256)))
        return connection

    async def echo_empty(self):
        connection = await self.connect("/")
        await echoes(connection, "", b"")
        return connection

    async def echo_lengths(self):
        connection = await self.connect("/")
        for length in (1, 125, 126, 127, 16383, 16384, 16385, 65535, 65536, 65537):
            await echoes(connection, os.urandom(length))
        return connection

    async def fragmented_text(self):
        return await self.fragmented("aé世🚢" * (MIB // 10 + 1))

    async def fragmented_binary(self):
        return await self.fragmented(os.urandom(MIB))

    async def fragmented(self, message):
        connection = await self.connect("/fragmented")
        await send_fragmented(connection, message)
        await returns(connection, message)
        return connection

    async def ping(self):
        connection = await self.connect("/")
        for payload in (b"towline", os.urandom(125)):
            await (await connection.ping(payload))  # done by a pong with the same payload only
        return connection

    async def server_ping(self):
        connection = await self.connect("/ping?payload=ahoy")
        await returns(connection, "pong ahoy")
        return connection

    async def client_close(self):
        key = uuid.uuid4()
        connection = await self.connect(f"/?id={key}")
        await echoes(connection, "before")
        await connection.close(4002, "done ✓")
        code, _ = received_close(connection)
        expect(code in (4002, 1000), f"the server answered our 4002 with {code}")
        seen = await self.last_close(key)
        expect(seen == (4002, "done ✓"), f"the server saw our close as {seen}")

    async def server_close(self):
        key = uuid.uuid4()
        connection = await self.connect(f"/close?code=4001&reason=bye&id={key}")
        await connection.wait_closed()
        got = received_close(connection)
        expect(got == (4001, "bye"), f"the server closed with {got}")
        code, _ = await self.last_close(key)
        expect(code in (4001, 1000), f"the server's 4001 was answered with {code}")

    async def reject(self):
        try:
            await self.connect("/reject")
        except InvalidStatus as error:
            response = error.response
            reason = response.headers.get("X-WebSocket-Reject-Reason")
            got = response.status_code, reason
            expect(got == (403, "not here"), f"rejected with {got}")
        else:
            raise AssertionError("it was accepted")

    async def subprotocol(self):
        connection = await self.connect("/", subprotocols=["other.v9", "chat.v2", "chat.v1"])
        expect(connection.subprotocol == "chat.v2", f"chosen: {connection.subprotocol}")
        await echoes(connection, "agreed")
        return connection

    async def no_subprotocol(self):
        connection = await self.connect("/", subprotocols=["other.v9"])
        expect(connection.subprotocol is None, f"chosen: {connection.subprotocol}")
        await echoes(connection, "none in common")
        return connection

    async def greeting(self):
        headers = {"X-Towline-Test": "a value"}
        connection = await self.connect("/headers", additional_headers=headers)
        greeting = json.loads(await connection.recv())
        expect(greeting.get("x-towline-test") == "a value", f"headers: {greeting}")
        await echoes(connection, "and on")
        return connection

    async def concurrent(self):
        connections = await asyncio.gather(*(self.connect("/") for _ in range(50)))

        async def use(number, connection):
            await echoes(connection, f"connection {number}")
            await closes_well(connection)

        await asyncio.gather(*(use(*pair) for pair in enumerate(connections)))

    async def pipelined(self):
        connection = await self.connect("/")
        messages = [f"message {number}" for number in range(1000)]

        async def send():
            for message in messages:
                await connection.send(message)

        sending = asyncio.create_task(send())
        for message in messages:
            await returns(connection, message)
        await sending
        return connection


def client_tls(options):
    if not options.url.startswith("wss:"):
        return None
    context = ssl.create_default_context(cafile=options.ca)
    if options.cert:
        context.load_cert_chain(options.cert, options.key)
    return context


async def run_client(options):
    failures = 0
    scenarios = Scenarios(options.url.rstrip("/"), client_tls(options))
    for name in options.scenarios:
        scenario = getattr(scenarios, name.replace("-", "_"), None)
        if scenario is None:
            sys.exit(f"unknown scenario: {name}")
        try:
            async with asyncio.timeout(20):
                if connection := await scenario():
                    await closes_well(connection)
        except Exception as error:  # noqa: BLE001: whatever it is, it is the scenario's outcome
            failures += 1
            why = " ".join(f"{type(error).__name__} {error}".split())
            print(f"FAIL {name}: {why}", flush=True)
        else:
            print(f"ok {name}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    server = commands.add_parser("serve")
    server.add_argument("--listen", required=True)
    for name in ("--tls-cert", "--tls-key", "--tls-client-ca"):
        server.add_argument(name, metavar="FILE")
    client = commands.add_parser("client")
    client.add_argument("scenarios", nargs="+")
    client.add_argument("--url", required=True)
    for name in ("--ca", "--cert", "--key"):
        client.add_argument(name, metavar="FILE")
    options = parser.parse_args()
    if options.command == "serve":
        asyncio.run(run_server(options))
    else:
        sys.exit(asyncio.run(run_client(options)))
