"""The other implementations: what each makes of a case. None of them does I/O."""
import codecs
import zlib

import wsproto.extensions
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Opcode
from websockets.protocol import CLIENT, SERVER, Protocol
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.utilities import RemoteProtocolError


class Verdict:
    """The events, `open`, `closed` or `refused`, and why it was refused."""

    def __init__(self):
        self.events, self.verdict, self.why = [], "open", ""

    def refuse(self, why):
        self.verdict, self.why = "refused", str(why)

    def close(self, code, reason):
        self.events.append(["close", int(code), reason])
        self.verdict = "closed"


def is_whole(engine):
    """Whether another block can begin here: RFC 7692, section 7.2.2."""
    if engine.eof:
        return True
    engine = engine.copy()
    try:
        return engine.decompress(b"\x03\x00") == b"" and engine.eof
    except zlib.error:
        return False


class Deflate(PerMessageDeflate):
    """That of websockets. Notes what zlib does not report as an error."""

    # A message that ended within a block; one without a byte; a block that was the last.
    is_incomplete = is_empty = has_final = False
    length = 0

    def decode(self, frame, *, max_size=None):
        decoded = super().decode(frame, max_size=max_size)
        if decoded is not frame:
            self.length = len(frame.data) + (self.length if frame.opcode is Opcode.CONT else 0)
            self.is_empty |= frame.fin and self.length == 0
            engine = getattr(self, "decoder", None) or self.last
            self.is_incomplete |= frame.fin and not is_whole(engine)
            self.has_final |= engine.eof
        return decoded

    def __delattr__(self, name):
        # It is let go of at the end of a message, before anybody could look at it.
        self.last = getattr(self, name)
        super().__delattr__(name)


def deflate_of(case, role):
    other = "server" if role == "client" else "client"
    (receives, receive_bits), (sends, send_bits) = case["agreed"][other], case["agreed"][role]
    return Deflate(not receives, not sends, receive_bits, send_bits)


def websockets(role, case, pieces):
    """A verdict, and what is known of the compressed messages."""
    protocol = Protocol(CLIENT if role == "client" else SERVER, max_size=case["limit"])
    deflate = deflate_of(case, role) if case["agreed"] else None
    protocol.extensions = [deflate] if deflate else []
    verdict, kind, parts = Verdict(), None, bytearray()
    for piece in pieces:
        protocol.receive_data(piece)
        for frame in protocol.events_received():
            data = bytes(frame.data)
            if frame.opcode is Opcode.PING:
                verdict.events.append(["ping", data.hex()])
            elif frame.opcode is Opcode.PONG:
                verdict.events.append(["pong", data.hex()])
            elif frame.opcode is Opcode.CLOSE:
                received = protocol.close_rcvd
                verdict.close(received.code, received.reason)
            else:
                if frame.opcode is not Opcode.CONT:
                    kind, text = frame.opcode, codecs.getincrementaldecoder("utf-8")()
                parts += data
                try:
                    # What its connections do with frames of text.
                    if kind is Opcode.TEXT:
                        text.decode(data, frame.fin)
                except UnicodeDecodeError as error:
                    verdict.refuse(error)
                    return verdict, deflate
                if frame.fin:
                    name = "text" if kind is Opcode.TEXT else "binary"
                    verdict.events.append([name, parts.hex()])
                    parts = bytearray()
    if protocol.parser_exc is not None:
        verdict.refuse(repr(protocol.parser_exc))
    return verdict, deflate


def wsproto_connection(role, case):
    extensions = []
    if case["agreed"]:
        extension = wsproto.extensions.PerMessageDeflate()
        extension.finalize(case["extension"])
        extensions = [extension]
    return Connection(ConnectionType[role.upper()], extensions)


def wsproto_reads(role, case, pieces):
    connection = wsproto_connection(role, case)
    verdict, parts = Verdict(), []
    for piece in pieces:
        try:
            connection.receive_data(piece)
            for event in connection.events():
                if isinstance(event, Ping):
                    verdict.events.append(["ping", bytes(event.payload).hex()])
                elif isinstance(event, Pong):
                    verdict.events.append(["pong", bytes(event.payload).hex()])
                elif isinstance(event, CloseConnection):
                    # It reports what it refuses as such an event too.
                    if connection.state is ConnectionState.OPEN:
                        verdict.refuse(event.reason)
                    else:
                        verdict.close(event.code, event.reason or "")
                    return verdict
                else:
                    is_text = isinstance(event, TextMessage)
                    parts.append(event.data.encode() if is_text else bytes(event.data))
                    if event.message_finished:
                        whole, parts = b"".join(parts), []
                        verdict.events.append(["text" if is_text else "binary", whole.hex()])
        except RemoteProtocolError as error:
            verdict.refuse(error)
            return verdict
    return verdict


def wsproto_writes(role, case, messages):
    """The bytes of messages as wsproto sends them, each in two frames."""
    connection = wsproto_connection(role, case)
    written = b""
    for message in messages:
        half = len(message) // 2
        for part, is_last in [(message[:half], False), (message[half:], True)]:
            event = BytesMessage(data=part, message_finished=is_last)
            written += connection.send(event)
    return written
