"""Messages of the Quack protocol, as far as the proxy needs them.

A message is a header and a payload in DuckDB's binary serialization: numbered fields of two bytes each, ended by
0xFFFF.

Source: https://github.com/duckdb/duckdb-quack, version 1.5
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

_END = 0xFFFF
_NO_QUERY = b"\xff" * 9 + b"\x01"
_ERROR = b"\x01\x00\x64\x03\x00" + _NO_QUERY + b"\xff\xff\x01\x00"


class MalformedMessage(ValueError):
    """Bytes that are no Quack message. The reader gets the reason as the answer."""


class MessageKind(enum.IntEnum):
    """Kinds of messages: those sent by readers, and the answers that the proxy parses."""

    CONNECT = 1
    CONNECTED = 2
    PREPARE = 3
    FETCH = 7
    DISCONNECT = 11
    ERROR = 100


FROM_READERS = {MessageKind.CONNECT, MessageKind.PREPARE, MessageKind.FETCH, MessageKind.DISCONNECT}


@dataclass(frozen=True)
class MessageHeader:
    """Header of a message.

    Args:
        kind: a number of `MessageKind`, or another one.
        session: the session id; empty before the session begins.
        ends_at: the index of the payload.
    """

    kind: int
    session: str
    ends_at: int


def parse_header(message: bytes) -> MessageHeader:
    """Read the header of a message, which may be cut off after it.

    Raises:
        MalformedMessage: the bytes have no valid header.
    """
    kind, session, at = 0, "", 0
    while True:
        field, at = int.from_bytes(message[at : at + 2], "little"), at + 2
        if field == _END:
            return MessageHeader(kind, session, at)
        if field == 2:
            text, at = _text(message, at)
            session = text.decode("ascii", "replace")
        elif field in {1, 3}:
            number, at = _number(message, at)
            kind = number if field == 1 else kind
        else:
            raise MalformedMessage(f"a header has no field {field}")


def query_text(message: bytes, header: MessageHeader) -> bytes:
    """Read the first field of a payload: the token of CONNECT, the query of PREPARE, the message of ERROR.

    Raises:
        MalformedMessage: the payload has no such field.
    """
    if message[header.ends_at : header.ends_at + 2] != b"\x01\x00":
        raise MalformedMessage("a payload begins with field 1")
    return _text(message, header.ends_at + 2)[0]


def with_query_text(message: bytes, header: MessageHeader, text: bytes) -> bytes:
    """Return a message with another first field."""
    begin = header.ends_at + 2
    _, end = _text(message, begin)
    return message[:begin] + _written(len(text)) + text + message[end:]


def error(words: str) -> bytes:
    """Return the message that a client shows as an error."""
    text = words.encode()
    return _ERROR + _written(len(text)) + text + b"\xff\xff"


def _number(message: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise MalformedMessage("a message ends within a number")
        number |= (message[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if not message[at - 1] & 0x80:
            return number, at


def _text(message: bytes, at: int) -> tuple[bytes, int]:
    length, at = _number(message, at)
    if at + length > len(message):
        raise MalformedMessage("a message ends within a text")
    return message[at : at + length], at + length


def _written(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*written, number])
