"""A client that behaves: one person's browser, app or script, with cookies, tokens and an address of its own.

Its randomness comes from one seeded generator; the gateway alone decides how fast it is answered.
"""

import asyncio
import json

import messages
from journal import Journal

BROWSERS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_6) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15",
)
MOST_IDLE_CONNECTIONS = 8


class Over(Exception):
    """The time of the run is up."""


class Reply:
    """What a visitor got."""

    def __init__(self, head, raw):
        self.status, self.head, self.body = head.status(), head, messages.content(head, raw)

    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            return {}

    def header(self, name):
        return next((value.decode("latin-1") for value in self.head.values(name)), None)


class Visitor:
    """Sends requests and notes the answers. Headers set in `standing` go with every request."""

    def __init__(self, gateway_port, name, source, random, clock, over, agent=None):
        self.gateway_port, self.name, self.source, self.random, self.over = gateway_port, name, source, random, over
        self.journal = Journal(clock)
        self.cookies, self.idle = {}, []
        self.standing = {"user-agent": agent or random.choice(BROWSERS), "accept": "*/*"}

    async def pause(self, least, most):
        """Waits as a person does. Raises Over at the end of the run."""
        wait = asyncio.ensure_future(self.over.wait())
        try:
            await asyncio.wait_for(wait, self.random.uniform(least, most))
        except asyncio.TimeoutError:
            return
        raise Over

    async def get(self, target, **headers):
        return await self.call("GET", target, headers=headers)

    async def call(self, method, target, body=b"", kind=None, headers=None):
        head = {"host": "shop.example", **self.standing, **{key.replace("_", "-"): value for key, value in (headers or {}).items()}}
        if self.cookies:
            head["cookie"] = "; ".join(f"{key}={value}" for key, value in self.cookies.items())
        if body or method in ("POST", "PUT"):
            head["content-length"] = str(len(body))
        if kind:
            head["content-type"] = kind
        lines = [f"{method} {target} HTTP/1.1", *(f"{key}: {value}" for key, value in head.items()), "", ""]
        sent_at = self.journal.clock()
        try:
            answer, raw = await self.exchange("\r\n".join(lines).encode("latin-1") + body, method.encode())
        except (messages.Broken, OSError):
            self.journal.errors += 1
            raise
        self.journal.note(sent_at, method, target, answer)
        self.keep_cookies(answer)
        return Reply(answer, raw)

    async def exchange(self, request, method):
        while True:
            reused = bool(self.idle)
            reader, writer = self.idle.pop() if reused else await messages.connect(self.gateway_port, self.source)
            try:
                writer.write(request)
                await writer.drain()
                answer, raw = await messages.read_answer(reader, method)
            except (messages.Closed, OSError):
                writer.close()
                if reused:
                    continue
                raise
            if answer.says(b"connection", b"close") or len(self.idle) >= MOST_IDLE_CONNECTIONS:
                writer.close()
            else:
                self.idle.append((reader, writer))
            return answer, raw

    def keep_cookies(self, answer):
        for line in answer.values(b"set-cookie"):
            name, _, value = line.decode("latin-1").split(";")[0].partition("=")
            if value:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)

    def move_to(self, source):
        """Goes on from another address, as a phone does that leaves the house."""
        self.source = source
        self.leave()

    def leave(self):
        for _, writer in self.idle:
            writer.close()
        self.idle.clear()

    async def log_in_by_form(self, password, name=None):
        return await self.call("POST", "/login", f"username={name or self.name}&password={password}".encode(), "application/x-www-form-urlencoded")

    async def log_in_by_api(self, password):
        reply = await self.post_json("/api/v1/login", {"username": self.name, "password": password})
        token = reply.json().get("token")
        if token:
            self.standing["authorization"] = f"Bearer {token}"
        return reply

    def bearer(self):
        """The token that it got, or an empty text."""
        return self.standing.get("authorization", "").removeprefix("Bearer ")

    async def post_json(self, target, value):
        return await self.call("POST", target, json.dumps(value).encode(), "application/json")
