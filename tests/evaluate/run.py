"""The evaluation in a closed loop: real attack tools and ordinary users against a site behind Envoy with the filter and ASE. `make evaluate`.

Everything is on loopback and bounded in time and number. Exit code: 0 when every attacker was blocked and no ordinary user was; 1 when not; 2 when the run
itself failed, or says nothing of some attackers because their tools are not installed. Standard library only.
"""

import argparse
import asyncio
import pathlib
import random
import secrets
import shutil
import sys
import time

import attacks
import insider
import messages
import people
import words
from gateway import Stack
from report import Report
from time_to_block import Stopwatch
from visitor import Visitor

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FAST_LANES = 2
SETTLE_SECONDS = 10
LINGER_SECONDS = 20
STUFFED = 3


class Run:
    """One evaluation, from the first ordinary user to the report."""

    def __init__(self, arguments, folder):
        self.arguments, self.folder = arguments, folder
        self.random = random.Random(arguments.seed)
        self.cases = [case for case in attacks.cases(people.OFFICE) if all(part in case.label for part in arguments.only)]
        self.cases = [case for case in self.cases if not any(part in case.label for part in arguments.without)]
        self.lacking = attacks.lacking_tools(self.cases)
        self.cases = [case for case in self.cases if case not in self.lacking]
        self.passwords = self.make_accounts()
        self.honest = []
        began = time.monotonic()
        self.clock = lambda: time.monotonic() - began

    def make_accounts(self):
        names = [person.name for person in people.CROWD] + [f"leaked{n}" for n in range(STUFFED)]
        names += sorted({case.account for case in self.cases if case.account})
        return {name: secrets.token_urlsafe(12) for name in names}

    async def whole(self, stack):
        over = asyncio.Event()
        port = stack.ports["GATEWAY_PORT"]
        world = people.World.of(self.passwords)
        visitors = [(person, people.arrive(person, port, random.Random(f"{self.arguments.seed} {person.name}"), self.clock, over))
                    for person in people.CROWD if not self.arguments.no_users]
        self.honest += visitors
        lives = [asyncio.ensure_future(people.live(visitor, person, world)) for person, visitor in visitors]
        health = asyncio.ensure_future(watch(stack))
        try:
            work = asyncio.ensure_future(self.attack_and_time(stack, port, over))
            await asyncio.wait((work, health), return_when=asyncio.FIRST_COMPLETED)
            if health.done():
                work.cancel()
                health.result()
            results, timing = work.result()
        finally:
            over.set()
            health.cancel()
            await asyncio.gather(*lives, health, return_exceptions=True)
        users = self.folder / "users"
        users.mkdir()
        for person, visitor in self.honest:
            visitor.journal.write(users / f"{person.name}.jsonl")
        return Report(results, self.honest, timing, self.lacking, reasons(stack))

    async def attack_and_time(self, stack, port, over):
        tokens = await self.log_attackers_in(port, over)
        scratch = self.folder / "cases"
        scratch.mkdir()
        lists = words.write(self.folder, self.random, {name: self.passwords[name] for name in self.passwords if name.startswith("leaked")})
        attackers = attacks.Attackers(port, scratch, lists, people.VICTIM, tokens, self.random, self.clock)
        inside = [case for case in self.cases if case.account == insider.NAME]
        history = asyncio.ensure_future(self.prepare_insider(port, over, tokens) if inside else asyncio.sleep(0))
        # Ordinary users are there before the first attacker, as on any site.
        await asyncio.sleep(min(SETTLE_SECONDS, self.arguments.seconds))
        results = await self.run_cases([case for case in self.cases if case not in inside], attackers, stack)
        timing = None
        if self.arguments.timed_clients:
            progress(self.clock, "time to block")
            timing = await Stopwatch(port, self.random, self.clock, over).measure(self.arguments.timed_clients)
        await history
        results += await self.run_cases(inside, attackers, stack)
        # Whom the last attacker has got blocked with him finds out only now.
        await asyncio.sleep(min(LINGER_SECONDS, self.arguments.seconds))
        return results, timing

    async def run_cases(self, cases, attackers, stack):
        """The slow ones all at once, for as long as they may; the fast ones beside them, a few at a time."""
        lanes = asyncio.Semaphore(FAST_LANES)

        async def fast(case):
            async with lanes:
                return await one(case, self.arguments.fast_seconds)

        async def one(case, seconds):
            if self.arguments.deny == case.setting:
                await asyncio.to_thread(stack.command, "deny", "add", "ip", *case.sources)
            result = await attackers.run(case, seconds)
            progress(self.clock, f"{case.label}: {'blocked' if result.outcome.blocked else 'NOT blocked'}, {result.note}")
            return result

        return await asyncio.gather(*(one(case, self.arguments.seconds) if case.setting == "slow" else fast(case) for case in cases))

    async def log_attackers_in(self, port, over):
        """A token for each attacker who has an account, got as any user gets one."""
        tokens = {}
        for case in self.cases:
            if case.account and case.account != insider.NAME:
                visitor = Visitor(port, case.account, case.sources[0], self.random, self.clock, over)
                await visitor.log_in_by_api(self.passwords[case.account])
                tokens[case.account] = visitor.bearer()
                visitor.leave()
        return tokens

    async def prepare_insider(self, port, over, tokens):
        colleague = insider.Insider(port, people.OFFICE, self.random, self.clock, over)
        tokens[insider.NAME] = await colleague.log_in(self.passwords[insider.NAME])
        self.honest.append((people.Person(insider.NAME, insider.HOME, "a colleague who has not turned yet", colleague.work), colleague.visitor))
        await colleague.work(self.arguments.insider_seconds)


async def watch(stack):
    """Ends with an exception when a part of the stack dies."""
    while True:
        stack.check()
        await asyncio.sleep(0.5)


def reasons(stack):
    """Why ASE lists an address, as far as this ASE tells."""
    found = {}
    listed = stack.command("deny", "list") or {}
    for entry in listed.get("entries", []) if isinstance(listed, dict) else listed:
        value, why = entry.get("value"), entry.get("reason") or entry.get("source")
        if value and why:
            found[str(value)] = f"{entry.get('source', '')}: {why}" if entry.get("source") != why else str(why)
    return found


def progress(clock, what):
    print(f"{clock():6.1f} s  {what}", flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("envoy", "ase", "filter"):
        parser.add_argument(f"--{name}", type=lambda path: pathlib.Path(path).absolute(), required=True)
    parser.add_argument("--out", type=lambda path: pathlib.Path(path).absolute(), required=True, help="emptied, then filled with reports, logs and exchanges")
    parser.add_argument("--seconds", type=float, default=240, help="how long the slow attackers may take")
    parser.add_argument("--fast-seconds", type=float, default=25, help="how long each of the others may take")
    parser.add_argument("--insider-seconds", type=float, default=630, help="how long the insider works honestly before she turns")
    parser.add_argument("--timed-clients", type=int, default=200, help="how many throwaway clients the time to block is measured on; 0: not measured")
    parser.add_argument("--only", action="append", default=[], metavar="PART", help="only cases whose 'name [setting]' contains this; all of them when repeated")
    parser.add_argument("--without", action="append", default=[], metavar="PART", help="no case whose 'name [setting]' contains this; may be repeated")
    parser.add_argument("--no-users", action="store_true", help="without ordinary users, to look at one attacker alone")
    parser.add_argument("--deny", choices=(*attacks.SETTINGS, "spread"), help="put the attackers of this setting on the deny list: the harness's own proof")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main():
    sys.stdout.reconfigure(line_buffering=True)
    arguments = parse_arguments()
    for path in (arguments.envoy, arguments.ase, arguments.filter):
        if not path.is_file():
            print(f"evaluate: {path} is not there", file=sys.stderr)
            return 2
    shutil.rmtree(arguments.out, ignore_errors=True)
    arguments.out.mkdir(parents=True)
    run = Run(arguments, arguments.out)
    stack = Stack(ROOT, arguments.out, arguments, run.passwords)
    try:
        stack.start()
        report = asyncio.run(run.whole(stack))
    except stack.demo.Failed as failure:
        print(f"evaluate: {failure}", file=sys.stderr)
        return 2
    except (OSError, messages.Broken) as error:
        print(f"evaluate: the run broke off: {error!r}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        stack.stop()
    report.write(arguments.out)
    print(f"\n{report.text()}\n\nall of it: {arguments.out}")
    return 1 if report.faults() else 2 if report.missing else 0


if __name__ == "__main__":
    sys.exit(main())
