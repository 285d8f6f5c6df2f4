"""What one client sent and got, and what follows from it.

Every answer of the site carries `x-site`; a 403 without it is the gateway's refusal, and nothing else is.
"""

import json
from typing import NamedTuple

SITE_MARK = b"x-site"
REFUSAL = 403


class Exchange(NamedTuple):
    """One request and its answer; times are seconds since the run began."""

    sent_at: float
    answered_at: float
    method: str
    target: str
    status: int
    of_site: bool

    @property
    def refused(self):
        return self.status == REFUSAL and not self.of_site

    @property
    def lost(self):
        """Answered by neither the site nor a refusal: a failure of the setup."""
        return not self.of_site and not self.refused


class Outcome(NamedTuple):
    """The figures of one attacker."""

    sent: int
    before_refusal: int
    after_refusal: int
    seconds: float | None
    blocked: bool


class Journal:
    """The exchanges of one client, in the order of their answers."""

    def __init__(self, clock):
        self.clock, self.exchanges, self.errors = clock, [], 0

    def note(self, sent_at, method, target, head):
        exchange = Exchange(sent_at, self.clock(), method, target, head.status(), bool(head.values(SITE_MARK)))
        self.exchanges.append(exchange)
        return exchange

    def refusals(self):
        return sum(exchange.refused for exchange in self.exchanges)

    def lost(self):
        return self.errors + sum(exchange.lost for exchange in self.exchanges)

    def first_refusal(self):
        return next((exchange for exchange in self.exchanges if exchange.refused), None)

    def outcome(self, confirmations):
        """Blocked is who was refused by every one of the confirming requests that were sent at the end."""
        held = bool(confirmations) and all(exchange.refused for exchange in confirmations)
        first = self.first_refusal()
        if first is None:
            return Outcome(len(self.exchanges), len(self.exchanges), 0, None, held)
        passed = [exchange for exchange in self.exchanges if not exchange.refused]
        late = sum(exchange.sent_at > first.answered_at for exchange in passed)
        began = min(exchange.sent_at for exchange in self.exchanges)
        return Outcome(len(self.exchanges), len(passed) - late, late, first.answered_at - began, held)

    def write(self, path):
        """One line an exchange, for who wants to know why."""
        with open(path, "w") as file:
            for exchange in self.exchanges:
                line = {"at": round(exchange.sent_at, 3), "took_ms": round(1000 * (exchange.answered_at - exchange.sent_at), 1)}
                line |= {"method": exchange.method, "target": exchange.target, "status": exchange.status, "refused": exchange.refused}
                file.write(json.dumps(line) + "\n")
