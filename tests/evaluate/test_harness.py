"""What the harness itself must hold: who counts as blocked, what a relay passes on, what the report calls a fault. No tool, no Envoy, under a second."""

import asyncio
import json
import random
import time
import unittest

import attacks
import messages
import people
import time_to_block
from journal import Exchange, Journal
from relay import Disguise, Relay
from report import Report


def exchange(at, status, of_site):
    return Exchange(at, at + 0.1, "GET", "/", status, of_site)


def journal(*exchanges):
    made = Journal(lambda: 0.0)
    made.exchanges = list(exchanges)
    return made


PASSED, MISSED, REFUSED = (200, True), (403, True), (403, False)


class WhoIsBlocked(unittest.TestCase):
    """Journal.outcome."""

    def test_the_sites_own_403_is_no_refusal(self):
        seen = journal(exchange(0, *MISSED))
        self.assertEqual(seen.refusals(), 0)
        self.assertFalse(seen.outcome([exchange(1, *MISSED)]).blocked)

    def test_who_was_refused_and_stays_refused_is_blocked(self):
        seen = journal(exchange(0, *PASSED), exchange(1, *PASSED), exchange(2, *REFUSED))
        outcome = seen.outcome([exchange(3, *REFUSED)])
        self.assertEqual((outcome.sent, outcome.before_refusal, outcome.after_refusal, outcome.blocked), (3, 2, 0, True))
        self.assertAlmostEqual(outcome.seconds, 2.1)

    def test_who_comes_through_again_is_not_blocked(self):
        seen = journal(exchange(0, *PASSED), exchange(1, *REFUSED), exchange(2, *PASSED))
        outcome = seen.outcome([exchange(3, *REFUSED), exchange(4, *PASSED)])
        self.assertEqual((outcome.before_refusal, outcome.after_refusal, outcome.blocked), (1, 1, False))

    def test_a_request_under_way_at_the_first_refusal_is_not_counted_as_sent_after_it(self):
        seen = journal(exchange(1, *REFUSED), exchange(1.05, *PASSED))
        self.assertEqual(seen.outcome([exchange(3, *REFUSED)])[1:3], (1, 0))

    def test_who_is_refused_only_after_the_last_request_is_blocked_too(self):
        outcome = journal(exchange(0, *PASSED)).outcome([exchange(2, *REFUSED)])
        self.assertEqual((outcome.before_refusal, outcome.seconds, outcome.blocked), (1, None, True))

    def test_without_a_confirmation_nobody_is_blocked(self):
        self.assertFalse(journal(exchange(0, *REFUSED)).outcome([]).blocked)


class WhatARelayDoes(unittest.IsolatedAsyncioTestCase):
    """Relay, in front of a gateway that answers as it is told."""

    async def asyncSetUp(self):
        self.seen, self.answer = [], b"HTTP/1.1 200 OK\r\nx-site: 1\r\ncontent-length: 2\r\n\r\nok"
        self.gateway = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = self.gateway.sockets[0].getsockname()[1]

    async def asyncTearDown(self):
        self.gateway.close()

    async def serve(self, reader, writer):
        try:
            while True:
                head = await messages.read_head(reader)
                raw = await messages.read_body(reader, head, unframed_until_close=False)
                self.seen.append((writer.get_extra_info("peername")[0], head.text() + raw))
                writer.write(self.answer)
        except messages.Broken:
            writer.close()

    async def send(self, disguise, *requests, sources=("127.9.8.7",)):
        noted = Journal(lambda: 0.0)
        async with Relay(self.port, sources, noted, disguise) as relay:
            reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
            for request in requests:
                writer.write(request)
                await messages.read_answer(reader, b"GET")
            writer.close()
        return noted

    async def test_the_gateway_sees_the_clients_own_address_and_the_request_as_it_was(self):
        request = b"POST /a?b=%27 HTTP/1.1\r\nHost: x\r\nX-Odd:  two  \r\ncontent-length: 3\r\n\r\nabc"
        noted = await self.send(Disguise(), request, request)
        self.assertEqual([peer for peer, _ in self.seen], ["127.9.8.7", "127.9.8.7"])
        self.assertEqual(self.seen[0][1], request.replace(b"  two  ", b" two"))
        self.assertEqual([(e.method, e.target, e.status, e.refused) for e in noted.exchanges], [("POST", "/a?b=%27", 200, False)] * 2)

    async def test_a_disguise_takes_the_place_of_the_tools_own_headers_and_is_fresh_each_time(self):
        values = iter((b"one", b"two"))
        request = b"GET / HTTP/1.1\r\nCookie: mine=1\r\n\r\n"
        await self.send(Disguise(((b"cookie", lambda: next(values)),)), request, request)
        self.assertEqual([text for _, text in self.seen], [b"GET / HTTP/1.1\r\ncookie: one\r\n\r\n", b"GET / HTTP/1.1\r\ncookie: two\r\n\r\n"])

    async def test_a_spread_attack_comes_from_another_address_each_time(self):
        request = b"GET / HTTP/1.1\r\n\r\n"
        await self.send(Disguise(), request, request, request, sources=("127.9.8.1", "127.9.8.2"))
        self.assertEqual([peer for peer, _ in self.seen], ["127.9.8.1", "127.9.8.2", "127.9.8.1"])

    async def test_a_403_without_the_sites_mark_is_a_refusal(self):
        self.answer = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n"
        noted = await self.send(Disguise(), b"GET / HTTP/1.1\r\n\r\n")
        self.assertEqual(noted.refusals(), 1)


class HowTheStopwatchRuns(unittest.IsolatedAsyncioTestCase):
    """Stopwatch, in front of a gateway that refuses a client a known time after his fourth hidden file."""

    DELAY = 0.12

    async def asyncSetUp(self):
        self.hidden = {}
        self.gateway = await asyncio.start_server(self.serve, "127.0.0.1", 0)

    async def asyncTearDown(self):
        self.gateway.close()

    async def serve(self, reader, writer):
        asked = self.hidden.setdefault(writer.get_extra_info("peername")[0], [])
        try:
            while True:
                head = await messages.read_head(reader)
                refused = len(asked) >= 4 and time.monotonic() - asked[3] > self.DELAY
                if b"/health" not in head.start:
                    asked.append(time.monotonic())
                writer.write(b"HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n" if refused else b"HTTP/1.1 404 No\r\nx-site: 1\r\ncontent-length: 0\r\n\r\n")
        except messages.Broken:
            writer.close()

    async def test_it_learns_the_crossing_request_and_times_from_there_to_the_refusal(self):
        port = self.gateway.sockets[0].getsockname()[1]
        stopwatch = time_to_block.Stopwatch(port, random.Random(1), time.monotonic, asyncio.Event(), pace_seconds=0.2)
        timing = await stopwatch.measure(4)
        self.assertEqual((timing.crossing, len(timing.seconds), timing.early, timing.never), (4, 4, 0, 0))
        self.assertTrue(all(self.DELAY < seconds < self.DELAY + 0.3 for seconds in timing.seconds), timing.seconds)


class WhatTheReportSays(unittest.TestCase):
    """Report.faults, and what it counts."""

    def result(self, name, seen, confirmations):
        case = next(case for case in attacks.cases(people.OFFICE) if case.name.startswith(name))
        return attacks.Result(case, seen, seen.outcome(confirmations), "")

    def test_a_missed_attacker_and_a_refused_user_are_faults_and_a_blocked_attacker_is_none(self):
        blocked = self.result("ffuf", journal(exchange(0, *REFUSED)), [exchange(1, *REFUSED)])
        missed = self.result("sqlmap", journal(exchange(0, *PASSED)), [])
        person = people.CROWD[0]
        visitor = type("Refused", (), {"journal": journal(exchange(0, *REFUSED))})
        report = Report([blocked, missed], [(person, visitor)], None, [], {})
        self.assertEqual(report.faults(), ["not blocked: sqlmap, search [fast]", f"wrongly blocked: anna ({person.what})"])

    def test_a_missing_tool_is_named_in_the_table_and_with_how_to_install_it(self):
        case = next(case for case in attacks.cases(people.OFFICE) if case.tool == "wapiti")
        report = Report([], [], None, [case], {})
        self.assertIn("INCOMPLETE, not installed: wapiti (Debian: apt-get install wapiti)", report.text())
        self.assertRegex(report.text(), r"wapiti +fast .*MISSING")
        self.assertEqual(len(json.loads(report.json())["attackers"]), 1)

    def test_a_time_to_block_over_the_bar_is_a_fault(self):
        timing = time_to_block.Timing(4, (0.05,) * 98 + (0.3, 0.4), 0, 0)
        self.assertEqual(timing.quantile(0.5), 0.05)
        self.assertEqual(Report([], [], timing, [], {}).faults(), ["time to block: p99 300 ms, the bar is 200 ms"])


class WhatTheCasesAre(unittest.TestCase):
    """attacks.toml."""

    def test_every_case_has_a_network_of_its_own_but_for_the_insider(self):
        sources = [source for case in attacks.cases(people.OFFICE) if case.account != "insider" for source in case.sources]
        taken = {person.source for person in people.CROWD}
        self.assertEqual(len(sources), len(set(sources)))
        self.assertFalse(taken & set(sources))

    def test_every_placeholder_is_one_that_is_filled_in(self):
        known = {"paths", "passwords", "names", "pairs", "url", "host", "port", "victim", "scratch", "token"}
        for case in attacks.cases(people.OFFICE):
            for word in case.command:
                self.assertLessEqual(set(attacks.PLACEHOLDER.findall(word)), known, case.label)


if __name__ == "__main__":
    unittest.main()
