"""Between one tool and the gateway: gives the tool a client address of its own, and writes down what it sent and got.

Tools cannot choose their source address. Each gets a relay on a port of its own; the relay connects to the gateway from the tool's 127.x address (or from
many in turn, for an attack that is spread), so that the gateway sees a real peer and no header has to be believed. Requests pass byte for byte, but for headers that the case sets (a random cookie, a forged
token) and for the pace that it asks of tools which have none of their own.
"""

import asyncio
import itertools

import messages


class Disguise:
    """The headers that a case puts into every request, in place of the tool's own of these names. Each value is made anew by calling it."""

    def __init__(self, headers=()):
        self.headers = tuple(headers)

    def put_on(self, head):
        fresh = [(name, make()) for name, make in self.headers]
        plain = head.without(*(name for name, _ in fresh))
        return messages.Head(plain.start, plain.headers + fresh)


class Relay:
    """One listener, one journal, and the client addresses that its requests come from in turn: one, unless the case is spread."""

    def __init__(self, gateway_port, sources, journal, disguise, pace_seconds=0.0):
        self.gateway_port, self.sources, self.journal = gateway_port, itertools.cycle(sources), journal
        self.one_source = len(sources) == 1
        self.disguise, self.pace = disguise, pace_seconds
        self.refusals_in_a_row = 0
        self.turn = asyncio.Lock()
        self.next_at = 0.0
        self.tasks = set()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, limit=messages.MOST_HEAD_BYTES)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_error):
        self.server.close()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def serve(self, reader, writer):
        task = asyncio.current_task()
        self.tasks.add(task)
        gateway = Gateway(self)
        try:
            while await self.exchange(reader, writer, gateway):
                pass
        except messages.Closed:
            pass
        except (messages.Broken, OSError):
            self.journal.errors += 1
        except asyncio.CancelledError:
            # The case is over. A cancelled handler would be reported as a crash by asyncio's own callback.
            pass
        finally:
            self.tasks.discard(task)
            gateway.close()
            writer.close()

    async def exchange(self, reader, writer, gateway):
        """One request and its answer. Whether the connection can take another."""
        head = await messages.read_head(reader)
        raw = await messages.read_body(reader, head, unframed_until_close=False)
        await self.wait_for_turn()
        method, target = (head.start.split(b" ") + [b""])[:2]
        sent_at = self.journal.clock()
        answer, body = await gateway.ask(self.disguise.put_on(head).text() + raw, method)
        noted = self.journal.note(sent_at, method.decode("latin-1"), target.decode("latin-1"), answer)
        self.refusals_in_a_row = self.refusals_in_a_row + 1 if noted.refused else 0
        try:
            writer.write(answer.text() + body)
            await writer.drain()
        except OSError:
            # A tool may leave before the answer; what it sent has been counted.
            return False
        ends = head.says(b"connection", b"close") or answer.says(b"connection", b"close") or head.start.endswith(b"HTTP/1.0")
        framed = answer.values(b"content-length") or answer.says(b"transfer-encoding", b"chunked") or answer.status() in (204, 304)
        return bool(framed) and not ends

    async def wait_for_turn(self):
        if not self.pace:
            return
        async with self.turn:
            wait = self.next_at - self.journal.clock()
            if wait > 0:
                await asyncio.sleep(wait)
            self.next_at = self.journal.clock() + self.pace


class Gateway:
    """The relay's connection to the gateway, opened when needed and again when the gateway has closed it."""

    def __init__(self, relay):
        self.relay, self.streams = relay, None

    async def ask(self, request, method):
        fresh = self.streams is None
        try:
            return await self.try_once(request, method)
        except (messages.Closed, OSError):
            # An idle connection may be closed just as a request goes out. A fresh one has no such excuse.
            self.close()
            if fresh:
                raise
            return await self.try_once(request, method)

    async def try_once(self, request, method):
        if self.streams is None:
            self.streams = await messages.connect(self.relay.gateway_port, next(self.relay.sources))
        reader, writer = self.streams
        writer.write(request)
        await writer.drain()
        answer, body = await messages.read_answer(reader, method)
        if answer.says(b"connection", b"close") or not self.relay.one_source:
            self.close()
        return answer, body

    def close(self):
        if self.streams is not None:
            self.streams[1].close()
            self.streams = None
