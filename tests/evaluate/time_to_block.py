"""How long it takes from the request that crosses a threshold to the first refusal of the same client.

Throwaway clients, each with an address of its own, ask for hidden files that are not there: cheap, and no detector lets much of it pass. A few first clients
ask slowly, to learn after how many such requests a client is refused. The others then send exactly that many, at the same pace, and from the last one on ask
for a harmless page every few milliseconds until they are refused. The time runs from the sending of the crossing request to the arrival of the refusal, so
it includes the request itself, its record's way to the engine, and the question of the next.
"""

import asyncio
from typing import NamedTuple

import messages
from visitor import Visitor

HIDDEN = (".env", ".git/HEAD", ".htpasswd", "backup.sql", ".svn/entries", "id_rsa", "wp-config.php.bak", "phpinfo.php", ".aws/credentials", "dump.sql",
          ".git/config", "server-status", "config.php.old", ".DS_Store", "db.sqlite", "admin.zip", ".npmrc", "web.config", "secrets.yml", "debug.log")
LEARNERS = 5
PACE_SECONDS = 0.5
POLL_SECONDS = 0.005
GIVE_UP_SECONDS = 5.0
AT_A_TIME = 10


class Timing(NamedTuple):
    """Seconds per client that was timed; the others are counted with their reason."""

    crossing: int | None
    seconds: tuple
    early: int
    never: int

    def quantile(self, share):
        """The smallest value that at least this share of the clients did not exceed; None without clients."""
        ordered = sorted(self.seconds)
        return ordered[max(0, -int(-share * len(ordered) // 1) - 1)] if ordered else None


class Stopwatch:
    """Times throwaway clients against one gateway."""

    def __init__(self, gateway_port, random, clock, over, pace_seconds=PACE_SECONDS):
        self.gateway_port, self.random, self.clock, self.over, self.pace = gateway_port, random, clock, over, pace_seconds
        self.used = 0

    def newcomer(self):
        """A client that nobody has seen, in a network that nobody has seen."""
        number, self.used = self.used, self.used + 1
        source = f"127.{200 + number // 250}.{1 + number % 250}.{1 + self.random.randrange(250)}"
        return Visitor(self.gateway_port, f"throwaway {number}", source, self.random, self.clock, self.over)

    async def measure(self, clients):
        learned = await asyncio.gather(*(self.learn() for _ in range(LEARNERS)))
        known = [count for count in learned if count is not None]
        if not known:
            return Timing(None, (), 0, len(learned))
        crossing = max(known)
        gate = asyncio.Semaphore(AT_A_TIME)
        results = await asyncio.gather(*(self.through(gate, crossing) for _ in range(clients)))
        return Timing(crossing, tuple(r for r in results if isinstance(r, float)), results.count("early"), results.count("never"))

    async def learn(self):
        """How many hidden files a client may ask for before it is refused."""
        client = self.newcomer()
        try:
            for count, name in enumerate(HIDDEN):
                if self.refused(await client.get(f"/{name}")):
                    return count
                await asyncio.sleep(self.pace)
            return None
        finally:
            client.leave()

    async def through(self, gate, crossing):
        async with gate:
            await asyncio.sleep(self.random.random() * self.pace)
            client = self.newcomer()
            try:
                return await self.time(client, crossing)
            except (messages.Broken, OSError):
                return "never"
            finally:
                client.leave()

    async def time(self, client, crossing):
        for name in HIDDEN[:crossing - 1]:
            if self.refused(await client.get(f"/{name}")):
                return "early"
            await asyncio.sleep(self.pace)
        crossed_at = self.clock()
        if self.refused(await client.get(f"/{HIDDEN[crossing - 1]}")):
            return "early"
        while self.clock() - crossed_at < GIVE_UP_SECONDS:
            if self.refused(await client.get("/health")):
                return self.clock() - crossed_at
            await asyncio.sleep(POLL_SECONDS)
        return "never"

    @staticmethod
    def refused(reply):
        return reply.status == 403 and reply.header(b"x-site") is None
