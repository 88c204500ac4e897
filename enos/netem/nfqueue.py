"""Messages of the kernel's packet queues.

Runs on the hosts, put into the files that need it by `enos.netem.standalone`: the
standard library of Python 3.8, nothing else.

Protocol: linux/netfilter/nfnetlink_queue.h, linux/netfilter/nfnetlink.h.
"""

import socket
import struct

PACKET, VERDICT, CONFIG, VERDICT_BATCH = 0x300, 0x301, 0x302, 0x303
REQUEST, ACK = 1, 4
DROP, ACCEPT = 0, 1
CFG_CMD, CFG_PARAMS, CFG_MAXLEN, CFG_MASK, CFG_FLAGS = 1, 2, 3, 4, 5
COPY_META, COPY_PACKET, BIND, FAIL_OPEN, GSO = 1, 2, 1, 1, 4
PAYLOAD, LARGEST = 10, 0xFFFF
QUEUE_LENGTH = 100_000

_HEAD = struct.Struct("=IHHIIBBH")  # nlmsghdr, then family, version; the queue …
_PLACE = struct.Struct("!18xH4xI")  # … big endian, then the packet's id
_TYPE = struct.Struct("=4xH")
_VERDICT = struct.Struct("=IHHIIBBHHHII")


def verdict(
    kind: int, queue: int, packet: int, action: int, changed: bytes = b""
) -> bytes:
    """Return the message that gives one packet, or all up to it, a verdict.

    A changed packet takes the place of the one the kernel keeps.
    """
    order, word = socket.htons(queue), socket.htonl
    tail = _attribute(PAYLOAD, changed) if changed else b""
    fixed = (REQUEST, 0, 0, 0, 0, order, 12, 2, word(action), word(packet))
    return _VERDICT.pack(32 + len(tail), kind, *fixed) + tail


def binding(
    queue: int, flags: int, *, whole: bool = False, again: bool = False
) -> bytes:
    """Return the message that makes this socket the reader of a queue.

    One that it reads already is only told the rest `again`.
    """
    params = (LARGEST, COPY_PACKET) if whole else (0, COPY_META)
    command = b"" if again else _attribute(CFG_CMD, struct.pack("!BBH", BIND, 0, 0))
    body = (
        command
        + _attribute(CFG_PARAMS, struct.pack("!IB", *params))
        + _attribute(CFG_MAXLEN, struct.pack("!I", QUEUE_LENGTH))
        + _attribute(CFG_MASK, struct.pack("!I", FAIL_OPEN | GSO))
        + _attribute(CFG_FLAGS, struct.pack("!I", flags))
    )
    size, order = 20 + len(body), socket.htons(queue)
    return _HEAD.pack(size, CONFIG, REQUEST | ACK, 0, 0, 0, 0, order) + body


def _attribute(kind: int, payload: bytes) -> bytes:
    size = 4 + len(payload)
    return struct.pack("=HH", size, kind) + payload + b"\0" * (-size % 4)


def place_of(message: bytearray) -> "tuple[int, int] | None":
    """Return queue and id of the packet a message is about, None when about none."""
    if _TYPE.unpack_from(message)[0] != PACKET:
        return None
    queue, packet = _PLACE.unpack_from(message)
    return queue, packet


def payload_of(message: bytes) -> bytes:
    """Return the packet in a message of a queue, nothing when it is not there."""
    place = 20
    while place + 4 <= len(message):
        size, kind = struct.unpack_from("=HH", message, place)
        if kind & 0x3FFF == PAYLOAD:
            return message[place + 4 : place + size]
        place += max(4, size + -size % 4)
    return b""
