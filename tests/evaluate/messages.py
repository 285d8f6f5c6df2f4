"""HTTP/1.1 messages on asyncio streams, read so that their bytes can be passed on as they were.

Made for the two ends that the harness has: tools behind the relay, and the gateway. It repairs nothing and refuses what it cannot frame.
"""

import asyncio

MOST_HEAD_BYTES = 256 * 1024
MOST_BODY_BYTES = 16 * 1024 * 1024


class Broken(Exception):
    """The peer sent no whole message."""


class Closed(Broken):
    """The peer closed before the first byte of a message."""


class Head:
    """A start line and headers, as bytes."""

    def __init__(self, start, headers):
        self.start, self.headers = start, headers

    def values(self, name):
        return [value for key, value in self.headers if key.lower() == name]

    def says(self, name, word):
        return any(word in value.lower() for value in self.values(name))

    def without(self, *names):
        return Head(self.start, [(key, value) for key, value in self.headers if key.lower() not in names])

    def text(self):
        return b"\r\n".join((self.start, *(key + b": " + value for key, value in self.headers), b"", b""))

    def status(self):
        word = self.start.split(b" ")[1:2]
        if not word or not word[0].isdigit():
            raise Broken(f"no status line: {self.start[:60]!r}")
        return int(word[0])


async def read_head(reader):
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        raise (Broken("the head breaks off") if error.partial.strip() else Closed("closed")) from None
    except (asyncio.LimitOverrunError, OSError) as error:
        raise Broken(str(error)) from None
    start, *lines = raw[:-4].split(b"\r\n")
    return Head(start, [(key, value.strip(b" \t")) for key, _, value in (line.partition(b":") for line in lines)])


async def read_body(reader, head, unframed_until_close):
    """The body with its framing, as it stood on the wire."""
    try:
        if head.says(b"transfer-encoding", b"chunked"):
            return await read_chunks(reader)
        lengths = head.values(b"content-length")
        if lengths:
            if not lengths[0].isdigit() or int(lengths[0]) > MOST_BODY_BYTES:
                raise Broken("the body is too long")
            return await reader.readexactly(int(lengths[0]))
        return await reader.read(MOST_BODY_BYTES) if unframed_until_close else b""
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, OSError) as error:
        raise Broken(f"the body breaks off: {error}") from None


async def read_chunks(reader):
    raw = b""
    while len(raw) <= MOST_BODY_BYTES:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        raw += line + await reader.readexactly(size + 2)
        if size == 0:
            return raw
    raise Broken("the body is too long")


async def read_answer(reader, method):
    """An answer's head and raw body; interim answers are left out."""
    head = await read_head(reader)
    while 100 <= head.status() < 200:
        head = await read_head(reader)
    if method == b"HEAD" or head.status() in (204, 304):
        return head, b""
    unframed = not head.values(b"content-length") and not head.says(b"transfer-encoding", b"chunked")
    return head, await read_body(reader, head, unframed_until_close=unframed)


def content(head, raw):
    """The body without its framing."""
    if not head.says(b"transfer-encoding", b"chunked"):
        return raw
    parts = []
    while raw:
        line, _, raw = raw.partition(b"\r\n")
        size = int(line.split(b";")[0], 16)
        parts.append(raw[:size])
        raw = raw[size + 2:]
    return b"".join(parts)


async def connect(port, source):
    """A connection to the gateway from a loopback address of its own, which is the client address that the gateway sees."""
    return await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0), limit=MOST_HEAD_BYTES)
