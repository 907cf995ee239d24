#!/usr/bin/env python3
"""A client for the axum suite.

  client.py websockets|aiohttp --address 127.0.0.1:PORT [--compressed]

Prints a line for each scenario. Exit codes: 0 all are ok; 1 one is not.
"""
import argparse
import asyncio
import contextlib
import json
import os
import sys
import urllib.request

MIB = 1024 * 1024
TEXT = "Grüße, Ἑλλάς, 世界, 👩‍🚀🚢"


class Refused(Exception):
    """The response to the handshake: its status, its headers and its body, if the library has it."""

    def __init__(self, status, headers, body):
        super().__init__(status)
        self.status, self.headers, self.body = status, headers, body


class Websockets:
    """A connection of `websockets`."""

    def __init__(self, connection):
        self.connection = connection
        self.protocol = connection.subprotocol
        names = [extension.name for extension in connection.protocol.extensions]
        self.compressed = "permessage-deflate" in names

    @classmethod
    async def connect(cls, url, protocols=(), headers=None, compress=False, origin=None):
        from websockets.asyncio.client import connect
        from websockets.exceptions import InvalidStatus
        try:
            return cls(await connect(
                url, subprotocols=list(protocols) or None, additional_headers=headers or {},
                compression="deflate" if compress else None, origin=origin, max_size=4 * MIB,
                proxy=None))
        except InvalidStatus as refused:
            response = refused.response
            raise Refused(response.status_code, response.headers, response.body) from None

    async def send(self, message):
        await self.connection.send(message)

    async def receive(self):
        return await self.connection.recv()

    async def ping(self):
        await (await self.connection.ping(b"towline"))

    async def close(self, code, reason):
        """Closes, and returns the code of the server's close frame."""
        await self.connection.close(code, reason)
        return self.received()[0]

    async def closed(self):
        """Waits until the server closes, and returns its close frame."""
        await self.connection.wait_closed()
        return self.received()

    def received(self):
        close = self.connection.protocol.close_rcvd
        return (close.code, close.reason) if close else None


class Aiohttp:
    """A connection of `aiohttp`."""

    def __init__(self, session, socket):
        self.session, self.socket = session, socket
        self.protocol, self.compressed = socket.protocol, bool(socket.compress)

    @classmethod
    async def connect(cls, url, protocols=(), headers=None, compress=False, origin=None):
        from aiohttp import ClientSession, WSServerHandshakeError
        session = ClientSession()
        try:
            return cls(session, await session.ws_connect(
                url, protocols=protocols, headers=headers, compress=15 if compress else 0,
                origin=origin, max_msg_size=4 * MIB, autoping=True))
        except WSServerHandshakeError as refused:
            await session.close()
            raise Refused(refused.status, refused.headers, None) from None

    async def send(self, message):
        if isinstance(message, str):
            await self.socket.send_str(message)
        else:
            await self.socket.send_bytes(message)

    async def receive(self):
        from aiohttp import WSMsgType
        message = await self.socket.receive()
        assert message.type in (WSMsgType.TEXT, WSMsgType.BINARY), message
        return message.data

    async def ping(self):
        # Pongs are handled while receiving; the echo comes after the pong.
        await self.socket.ping(b"towline")
        await self.send("after the ping")
        assert await self.receive() == "after the ping"

    async def close(self, code, reason):
        await self.socket.close(code=code, message=reason.encode())
        await self.session.close()
        return self.socket.close_code

    async def closed(self):
        from aiohttp import WSMsgType
        message = await self.socket.receive()
        assert message.type == WSMsgType.CLOSE, message
        await self.session.close()
        return message.data, message.extra


async def echoes(client):
    connection = await client()
    for message in ("hello", TEXT, "", bytes(range(256)), b"", "x" * MIB, os.urandom(MIB),
                    TEXT * (MIB // len(TEXT.encode()))):
        await connection.send(message)
        assert await connection.receive() == message
    assert await connection.close(1000, "") == 1000


async def pipelined(client):
    connection = await client()

    async def receive():
        return [await connection.receive() for _ in range(1000)]

    receiving = asyncio.create_task(receive())
    for number in range(1000):
        await connection.send(f"message {number}")
    assert await receiving == [f"message {number}" for number in range(1000)]
    await connection.close(1000, "")


async def pings(client):
    connection = await client()
    await connection.ping()
    await connection.close(1000, "")
    connection = await client("/ping?payload=ahoy")
    assert await connection.receive() == "pong ahoy"
    await connection.close(1000, "")


async def subprotocols(client):
    # By the server's preference.
    connection = await client(protocols=["other.v9", "chat.v1", "chat.v2"])
    assert connection.protocol == "chat.v2", connection.protocol
    await connection.close(1000, "")


async def headers(client):
    connection = await client("/headers", headers={"X-Towline-Test": "a value"})
    assert json.loads(await connection.receive())["x-towline-test"] == "a value"
    await connection.close(1000, "")


async def last_close(client, key):
    connection = await client(f"/last-close?id={key}")
    close = json.loads(await connection.receive())
    await connection.close(1000, "")
    return close["code"], close["reason"]


async def client_closes(client):
    connection = await client("/?id=client")
    assert await connection.close(4002, "done ✓") == 4002
    assert await last_close(client, "client") == (4002, "done ✓")


async def server_closes(client):
    connection = await client("/close?code=4001&reason=bye&id=server")
    assert await connection.closed() == (4001, "bye")
    # aiohttp answers every close frame with 1000.
    assert (await last_close(client, "server"))[0] in (4001, 1000)


async def refused(client, *arguments, **options):
    try:
        await client(*arguments, **options)
    except Refused as why:
        return why
    raise AssertionError("not refused")


async def refusals(client):
    # By the handler, by a layer, by the Origin policy, and by the route.
    why = await refused(client, "/reject")
    assert why.status == 403, why.status
    assert why.headers["X-WebSocket-Reject-Reason"] == "not here", why.headers
    why = await refused(client, "/guarded")
    assert why.status == 401 and why.body in (None, b"log in"), (why.status, why.body)
    assert (await refused(client, origin="http://other.example")).status == 403
    assert (await refused(client, "/page")).status == 200
    connection = await client("/guarded", headers={"Authorization": "Bearer secret"})
    await connection.send("in")
    assert await connection.receive() == "in"
    await connection.close(1000, "")
    connection = await client(origin=f"http://{client.address}")
    await connection.close(1000, "")


async def pages(client):
    def fetch():
        return urllib.request.urlopen(f"http://{client.address}/page", timeout=30).read()

    assert await asyncio.to_thread(fetch) == b"a page"


async def shutdown(client):
    idle = await client("/?id=idle")
    others = await asyncio.gather(*(client() for _ in range(20)))
    for other in others:
        await other.send("here")
        assert await other.receive() == "here"
    print("waiting for the shutdown", flush=True)
    for connection in (idle, *others):
        assert await connection.closed() == (1001, ""), connection


SCENARIOS = [echoes, pipelined, pings, subprotocols, headers, client_closes, server_closes, refusals,
             pages, shutdown]


class Client:
    """Connects to the server."""

    def __init__(self, library, address, compressed):
        self.library, self.address, self.compressed = library, address, compressed

    async def __call__(self, path="/", **options):
        url = f"ws://{self.address}{path}"
        connection = await self.library.connect(url, compress=self.compressed, **options)
        assert connection.compressed == self.compressed
        return connection


async def play(client):
    failed = False
    for scenario in SCENARIOS:
        name = scenario.__name__.replace("_", "-")
        try:
            async with asyncio.timeout(60):
                await scenario(client)
            print(f"ok {name}", flush=True)
        except Exception as error:  # noqa: BLE001
            print(f"FAIL {name}: {type(error).__name__} {error}", flush=True)
            failed = True
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", choices=["websockets", "aiohttp"])
    parser.add_argument("--address", required=True)
    parser.add_argument("--compressed", action="store_true")
    options = parser.parse_args()
    library = {"websockets": Websockets, "aiohttp": Aiohttp}[options.library]
    client = Client(library, options.address, options.compressed)
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(1 if asyncio.run(play(client)) else 0)


if __name__ == "__main__":
    main()
