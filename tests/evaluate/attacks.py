"""Runs the attackers: reads attacks.toml, gives each case its relay and address, starts the tool, and ends it once it is blocked or out of time.

A tool's own output is kept for reading and never believed: what it sent and got is what its relay saw.
"""

import asyncio
import ctypes
import os
import pathlib
import re
import shutil
import signal
import tomllib
from typing import NamedTuple

import insider
import messages
from journal import Journal
from relay import Disguise, Relay
from site_facts import forged_token
from visitor import BROWSERS

HERE = pathlib.Path(__file__).resolve().parent
SETTINGS = ("fast", "slow", "cookie", "forged")
SLOW_SECONDS = 5.0
SPREAD_OVER = 40
REFUSALS_TO_END = {"slow": 2}
REFUSALS_TO_END_FAST = 12
CONFIRMATIONS = 4
LISTING_SECONDS = 1.0
STOP_SECONDS = 5
# Debian's tools run with Debian's Python, whatever Python is first on the caller's path.
TOOL_PATH = "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
PR_SET_PDEATHSIG = 1
PLACEHOLDER = re.compile(r"\{([a-z]+)\}")


class Case(NamedTuple):
    """One tool in one setting."""

    name: str
    tool: str
    what: str
    setting: str
    sources: tuple
    account: str | None
    command: tuple
    paced: bool

    @property
    def is_bar(self):
        """Whether the run fails when this attacker is missed. One that is spread over many addresses is reported only."""
        return self.setting != "spread"

    @property
    def label(self):
        return f"{self.name} [{self.setting}]"


class Result(NamedTuple):
    """What became of a case."""

    case: Case
    journal: Journal
    outcome: object
    note: str


def cases(office):
    """Every case in every one of its settings, each from an address in a network of its own."""
    document = tomllib.loads((HERE / "attacks.toml").read_text())
    found = []
    for entry in document["case"]:
        for setting in entry.get("settings", SETTINGS):
            network = f"127.{101 + len(found)}"
            sources = (office,) if entry.get("account") == insider.NAME else (f"{network}.5.9",)
            if setting == "spread":
                sources = tuple(f"{network}.{n}.{n * 3 % 250 + 1}" for n in range(1, SPREAD_OVER + 1))
            found.append(case(entry, setting, sources, len(found)))
    return found


def case(entry, setting, sources, number):
    pace = entry["slow" if setting == "slow" else "fast"]
    words = [word for part in entry["command"] for word in (pace if part == "{pace}" else [part])]
    account = {"own": f"mallory{number}", insider.NAME: insider.NAME}.get(entry.get("account"))
    return Case(entry["name"], entry["tool"], entry["what"], setting, sources, account,
                tuple(words), setting == "slow" and entry.get("paced", False))


def lacking_tools(wanted):
    """The cases whose tool is not installed."""
    return [case for case in wanted if shutil.which(case.tool, path=TOOL_PATH) is None]


class Attackers:
    """Runs cases against one gateway."""

    def __init__(self, gateway_port, folder, lists, victim, tokens, random, clock):
        self.gateway_port, self.folder, self.random, self.clock = gateway_port, folder, random, clock
        self.lists, self.victim, self.tokens = lists, victim, tokens
        self.browser = BROWSERS[0].encode

    async def run(self, case, seconds):
        scratch = self.folder / re.sub(r"[^a-z0-9]+", "-", case.label.lower()).strip("-")
        scratch.mkdir()
        journal = Journal(self.clock)
        pace = SLOW_SECONDS if case.paced else 0.0
        async with Relay(self.gateway_port, case.sources, journal, self.disguise(case), pace) as relay:
            note = await self.attack(case, relay, scratch, seconds)
        # The last request may be the one that crosses the threshold.
        await asyncio.sleep(LISTING_SECONDS)
        confirmations = await self.confirm(case, journal)
        journal.write(scratch / "exchanges.jsonl")
        return Result(case, journal, journal.outcome(confirmations), note)

    def disguise(self, case):
        if case.setting == "cookie":
            cookie = lambda: f"session={self.random.getrandbits(128):032x}".encode()  # noqa: E731 - made anew for each request
            return Disguise(((b"cookie", cookie), (b"user-agent", self.browser)))
        if case.setting == "slow":
            return Disguise(((b"user-agent", self.browser),))
        if case.setting == "forged":
            token = f"Bearer {forged_token(self.victim, case.name)}".encode()
            return Disguise(((b"authorization", lambda: token),))
        return Disguise()

    async def attack(self, case, relay, scratch, seconds):
        """Runs the tool. Says how it ended. Its standard input stays open and silent: patator reports progress at every end of file that it reads."""
        with open(scratch / "output.txt", "wb") as output:
            child = await asyncio.create_subprocess_exec(
                *self.words(case, relay, scratch), cwd=scratch, env=environment(scratch), stdin=asyncio.subprocess.PIPE,
                stdout=output, stderr=asyncio.subprocess.STDOUT, start_new_session=True, preexec_fn=die_with_parent)
        try:
            return await self.watch(case, relay, child, seconds)
        finally:
            await stop(child)

    async def watch(self, case, relay, child, seconds):
        enough = REFUSALS_TO_END.get(case.setting, REFUSALS_TO_END_FAST)
        deadline = self.clock() + seconds
        ended = asyncio.ensure_future(child.wait())
        while not ended.done():
            if relay.refusals_in_a_row >= enough:
                return "stopped once blocked"
            if self.clock() > deadline:
                return "out of time"
            await asyncio.wait((ended,), timeout=0.1)
        return f"ended by itself with {ended.result()}"

    def words(self, case, relay, scratch):
        values = {**self.lists, "url": f"http://127.0.0.1:{relay.port}", "host": "127.0.0.1", "port": str(relay.port), "victim": self.victim,
                  "scratch": str(scratch), "token": self.tokens.get(case.account, "")}
        return [PLACEHOLDER.sub(lambda found: values[found[1]], word) for word in case.command]

    async def confirm(self, case, journal):
        """Some harmless requests in the attacker's name: who is blocked is refused whatever he asks for."""
        noted = []
        for turn in range(CONFIRMATIONS):
            headers = [(b"host", b"shop.example"), (b"connection", b"close")]
            if case.account:
                headers.append((b"authorization", f"Bearer {self.tokens[case.account]}".encode()))
            request = self.disguise(case).put_on(messages.Head(b"GET /api/v1/me HTTP/1.1", headers))
            sent_at = self.clock()
            try:
                reader, writer = await messages.connect(self.gateway_port, case.sources[turn % len(case.sources)])
                writer.write(request.text())
                answer, _ = await messages.read_answer(reader, b"GET")
                writer.close()
            except (messages.Broken, OSError):
                journal.errors += 1
                continue
            # In a journal of its own: the tool did not send it.
            noted.append(Journal(self.clock).note(sent_at, "GET", "/api/v1/me", answer))
        return noted


def environment(scratch):
    """Tools keep their sessions and settings in the case's folder and learn nothing of the caller's environment."""
    return {"PATH": TOOL_PATH, "HOME": str(scratch), "LANG": "C.UTF-8", "TMPDIR": str(scratch)}


LIBC = ctypes.CDLL(None)


def die_with_parent():
    """Runs in the child: the kernel ends it if we are killed without a chance to."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


async def stop(child):
    """Ends the tool with all that it has started: it is the leader of a session that we made."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if child.returncode is None or group_lives(child.pid):
            try:
                os.killpg(child.pid, number)
            except ProcessLookupError:
                break
        try:
            await asyncio.wait_for(child.wait(), STOP_SECONDS)
        except asyncio.TimeoutError:
            continue
    await child.wait()


def group_lives(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
