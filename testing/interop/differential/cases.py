"""Cases: bytes of a peer, mostly legal ones, so that a case gets somewhere before it goes wrong."""
import random
import struct
import zlib

TEXTS = ["", "ahoy", "é€😀", "ship ahoy, " * 30, "é€😀" * 90, "\0", "\U0010ffff"]


def extension(rng):
    """The answer of a server to an offer, as Towline orders its parameters, and what it means."""
    server_takeover, client_takeover = rng.random() < 0.6, rng.random() < 0.6
    server_bits, client_bits = (rng.choice([None, 9, 10, 12, 14]) for _ in range(2))
    # Towline's server does not limit a window that the client does not keep.
    client_bits = client_bits if client_takeover else None
    parameters = ["permessage-deflate"]
    parameters += [] if server_takeover else ["server_no_context_takeover"]
    parameters += [] if client_takeover else ["client_no_context_takeover"]
    parameters += [f"server_max_window_bits={server_bits}"] if server_bits else []
    parameters += [f"client_max_window_bits={client_bits}"] if client_bits else []
    return {
        "text": "; ".join(parameters),
        "server": (server_takeover, server_bits or 15),
        "client": (client_takeover, client_bits or 15),
    }


class Deflater:
    """Compresses messages in any of the ways that RFC 7692, section 7.2.3 shows."""

    def __init__(self, rng, takeover, bits):
        self.rng, self.takeover, self.bits = rng, takeover, bits
        self.engine = None

    def message(self, payload):
        rng = self.rng
        if self.engine is None or not self.takeover:
            strategy = rng.choice([zlib.Z_DEFAULT_STRATEGY, zlib.Z_FIXED, zlib.Z_HUFFMAN_ONLY])
            self.engine = zlib.compressobj(rng.randint(0, 9), zlib.DEFLATED, -self.bits, 8, strategy)
        cut = rng.randint(0, len(payload))
        made = self.engine.compress(payload[:cut])
        made += self.engine.flush(rng.choice([zlib.Z_NO_FLUSH, zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH]))
        made += self.engine.compress(payload[cut:])
        if rng.random() < 0.05:
            # Section 7.2.3.4: a block with BFINAL set, and an empty block behind it.
            made += self.engine.flush(zlib.Z_FINISH) + b"\x00"
            self.engine = None
            return made
        return (made + self.engine.flush(zlib.Z_SYNC_FLUSH))[:-4]


def frame(rng, masked, opcode, payload, fin=True, rsv=0, form=None, length=None):
    """The bytes of a frame."""
    length = len(payload) if length is None else length
    form = form or (127 if length > 0xFFFF else 126 if length > 125 else length)
    head = bytes([fin << 7 | rsv << 4 | opcode, masked << 7 | form])
    head += {126: struct.pack("!H", length & 0xFFFF), 127: struct.pack("!Q", length)}.get(form, b"")
    if not masked:
        return head + payload
    key = rng.randbytes(4)
    return head + key + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


def payload(rng):
    if rng.random() < 0.6:
        return rng.choice(TEXTS).encode()
    if rng.random() < 0.5:
        return rng.randbytes(rng.choice([0, 1, 5, 125, 126, 400]))
    return bytes([rng.randrange(256)]) * rng.choice([3, 200, 5000])


def mutated(rng, data):
    """The same with a byte changed, added or removed."""
    data, at = bytearray(data), rng.randint(0, len(data))
    if rng.random() < 0.5 and at < len(data):
        data[at] ^= 1 << rng.randrange(8)
    elif rng.random() < 0.5:
        data[at:at + rng.randint(0, 4)] = b""
    else:
        data[at:at] = rng.randbytes(rng.randint(1, 4))
    return bytes(data)


def wrong(rng, said):
    """A frame with one thing that is wrong, or just unusual."""
    said = dict(said)
    kind = rng.randrange(6)
    if kind == 0:
        said["rsv"] = rng.randrange(8)
    elif kind == 1:
        said["opcode"] = rng.randrange(16)
    elif kind == 2:
        said["form"] = rng.choice([126, 127])
    elif kind == 3:
        said["length"] = rng.choice([1 << 63, (1 << 64) - 1, 1 << 40, 70_000])
        said["form"] = 127
    elif kind == 4:
        said["fin"] = not said["fin"]
    else:
        said["masked"] = not said["masked"]
    return said


def close(rng):
    code = rng.choice([1000, 1001, 1003, 1011, 3000, 4999, rng.choice(
        [0, 999, 1004, 1005, 1006, 1012, 1013, 1014, 1015, 1016, 2999, 5000, 65535])])
    reason = rng.choice([b"", b"bye", "é".encode() * 20, b"\xff"])
    return rng.choice([b"", struct.pack("!H", code) + reason, struct.pack("!H", code), b"\x03"])


def fragments(rng, opcode, data, rsv):
    """A message in fragments, with a control frame between some of them."""
    cuts = sorted(rng.randint(0, len(data)) for _ in range(rng.choice([0, 0, 1, 3])))
    ends = [*cuts, len(data)]
    for index, (at, end) in enumerate(zip([0, *cuts], ends, strict=True)):
        if index > 0 and rng.random() < 0.1:
            yield {"opcode": 9, "payload": b"between", "fin": True, "rsv": 0}
        is_first, is_last = index == 0, index == len(ends) - 1
        yield {"opcode": opcode if is_first else 0, "payload": data[at:end], "fin": is_last,
               "rsv": rsv if is_first else 0}


def frames(rng, deflater):
    """What a peer says."""
    for _ in range(rng.randint(1, 8)):
        if rng.random() < 0.25:
            opcode = rng.choice([9, 9, 10, 10, 8])
            data = close(rng) if opcode == 8 else rng.randbytes(rng.choice([0, 4, 125]))
            yield {"opcode": opcode, "payload": data, "fin": True, "rsv": 0}
            continue
        opcode, data = rng.choice([1, 2]), payload(rng)
        if opcode == 1 and rng.random() < 0.95:
            data = data.decode(errors="replace").encode()
        if deflater is None or rng.random() < 0.2:
            yield from fragments(rng, opcode, data, 0)
            continue
        data = deflater.message(data)
        data = mutated(rng, data) if rng.random() < 0.08 else data
        yield from fragments(rng, opcode, data, 4)


def missing(said):
    """Zeros for what is missing of the last frame. Some judge a frame when it is whole, others as
    soon as they can."""
    at = 0
    while at < len(said):
        head = (said[at:] + bytes(14))[:14]
        form = head[1] & 0x7F
        size = {126: 2, 127: 8}.get(form, 0)
        length = int.from_bytes(head[2:2 + size], "big") if size else form
        at += 2 + size + (4 if head[1] & 0x80 else 0) + length
    return bytes(at - len(said)) if at - len(said) < 1 << 21 else b""


def is_interrupted(told):
    """Whether there is a control frame between the fragments of a compressed message."""
    is_open = False
    for said in told:
        if said["opcode"] & 8:
            if is_open:
                return True
        elif said["opcode"]:
            is_open = said["rsv"] & 4 and not said["fin"]
        elif said["fin"]:
            is_open = False
    return False


def case(seed):
    """The case of this number, the same on every machine."""
    rng = random.Random(seed)
    role = rng.choice(["client", "server"])
    peer = "server" if role == "client" else "client"
    agreed = extension(rng) if rng.random() < 0.6 else None
    deflater = Deflater(rng, *agreed[peer]) if agreed else None
    told = [{**said, "masked": peer == "client"} for said in frames(rng, deflater)]
    told = [wrong(rng, said) if rng.random() < 0.04 else said for said in told]
    said = b"".join(frame(rng, **said) for said in told)
    if rng.random() < 0.1:
        said = mutated(rng, said)
    said += missing(said)
    cuts = sorted(rng.randint(0, len(said)) for _ in range(rng.choice([0, 1, 1, 4])))
    return {
        "seed": seed,
        "role": role,
        "limit": 1 << 20,
        "extension": agreed and agreed["text"],
        "agreed": agreed,
        "interrupted": is_interrupted(told),
        "threshold": rng.choice([1, 7, 100, 100_000]),
        "pieces": [said[at:end] for at, end in zip([0, *cuts], [*cuts, len(said)], strict=True)],
        "send": [payload(rng) for _ in range(rng.randint(0, 3))],
    }
