"""A colleague who turns: works for a while from home and from the shared office with one token, and then attacks from the office with it.

By then the token is proven in the engine's sense (answered well, over time, from more than one network), so the token has to take the blame and the address,
and with it everybody else in the office, must not.
"""

import asyncio

from visitor import Visitor

NAME = "insider"
HOME = "127.34.3.7"
TURN_SECONDS = 6


class Insider:
    """One honest history. `token` is what the tool will use."""

    def __init__(self, gateway_port, office, random, clock, over):
        self.office = office
        self.visitor = Visitor(gateway_port, NAME, HOME, random, clock, over)

    async def log_in(self, password):
        await self.visitor.log_in_by_api(password)
        return self.visitor.bearer()

    async def work(self, seconds):
        """Honest requests, from either place in turn, for so long."""
        began = self.visitor.journal.clock()
        turn = 0
        while self.visitor.journal.clock() - began < seconds:
            self.visitor.move_to((HOME, self.office)[turn % 2])
            for _ in range(3):
                await self.visitor.get("/api/v1/me")
                await self.visitor.get("/api/v1/orders")
                await asyncio.sleep(TURN_SECONDS / 3)
            turn += 1
        self.visitor.leave()
