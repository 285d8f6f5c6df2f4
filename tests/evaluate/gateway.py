"""The site, ASE and Envoy with the filter, started and stopped together in a folder of the run's own.

Envoy runs envoy/bootstrap.yaml, the file that operators copy, with the client's address taken from the connection and the site's cookies named.
Every port is a free one that the kernel gave. Nothing is left behind: processes are stopped by id.
"""

import json
import re
import socket
import subprocess
import sys
import time

PORTS = ("GATEWAY_PORT", "ENVOY_ADMIN_PORT", "ASE_DATA_PORT", "ASE_ADMIN_PORT", "UPSTREAM_PORT")
COMMAND_SECONDS = 20
READY_SECONDS = 60


class Stack:
    """The three processes. `commands` of the `ase` binary reach the running daemon."""

    def __init__(self, root, folder, programs, passwords):
        sys.path.insert(0, str(root / "envoy" / "demo"))
        import stack as demo  # the demo's start and stop, not its story

        self.demo, self.root, self.folder, self.programs = demo, root, folder, programs
        self.passwords = passwords
        self.state = folder / "state"
        self.processes = []
        self.ports = free_ports()

    def start(self):
        self.state.mkdir()
        passwords = self.folder / "accounts.json"
        passwords.write_text(json.dumps(self.passwords))
        here = self.root / "tests" / "evaluate"
        self.launch("the site", [sys.executable, here / "site" / "server.py", "--port", self.ports["UPSTREAM_PORT"], "--accounts", passwords],
                    "UPSTREAM_PORT", "/")
        configuration = self.folder / "ase.toml"
        configuration.write_text("enable_ase_detected_attack = true\n")
        self.launch(
            "ASE",
            [self.programs.ase, "serve", "--config", configuration, "--data-listen", self.address("ASE_DATA_PORT"),
             "--admin-listen", self.address("ASE_ADMIN_PORT"), "--api-dir", here / "definitions", "--state-dir", self.state,
             "--access-log", self.folder / "access.jsonl"],
            "ASE_DATA_PORT", "/ase",
        )
        bootstrap = self.folder / "envoy.yaml"
        bootstrap.write_text(self.bootstrap())
        self.launch(
            "Envoy", [self.programs.envoy, "--config-path", bootstrap, "--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"],
            "ENVOY_ADMIN_PORT", "/ready",
        )

    def launch(self, name, command, port, path):
        process = self.demo.Process(name, command, self.folder / f"{name.split()[-1].lower()}.log")
        self.processes.append(process)
        deadline = time.monotonic() + READY_SECONDS
        while not self.demo.answers(self.ports[port], path):
            process.check()
            if time.monotonic() > deadline:
                raise self.demo.Failed(f"{name} was not ready after {READY_SECONDS} s\n{process.tail()}")
            time.sleep(0.1)

    def check(self):
        """Raises when one of them has died: figures of a broken gateway are worth nothing."""
        for process in self.processes:
            process.check()

    def stop(self):
        for process in reversed(self.processes):
            process.stop()

    def address(self, variable):
        return f"127.0.0.1:{self.ports[variable]}"

    def bootstrap(self):
        """envoy/bootstrap.yaml with the values of its `# demo: NAME` lines replaced, each exactly once."""
        values = {name: self.ports[name] for name in PORTS if name != "ASE_ADMIN_PORT"} | {"FILTER": self.programs.filter, "TRUSTED_HOPS": 0}
        text = (self.root / "envoy" / "bootstrap.yaml").read_text()
        for name, value in values.items():
            text = replaced_once(text, rf"(: )[^\s}}]+(}}*)(  # demo: {name})$", rf"\g<1>{value}\g<2>\g<3>")
        # hydra speaks HTTP/1.0, which Envoy answers with 426 unless it is told to accept it.
        text = replaced_once(text, r"^( +)use_remote_address: true$", r"\g<0>\n\g<1>http_protocol_options: {accept_http_10: true}")
        return replaced_once(text, r'("credentials": \{)$', r'\g<1>\n                                "cookies": ["session", "blog_session"],')

    def command(self, *words):
        """What `ase WORDS... --json` answers, or None when this ASE does not know the command."""
        done = subprocess.run(
            [self.programs.ase, *words, "--json", "--state-dir", self.state], stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_SECONDS, text=True)
        if done.returncode != 0:
            return None
        try:
            return json.loads(done.stdout)
        except ValueError:
            return None


def replaced_once(text, pattern, replacement):
    text, found = re.subn(pattern, replacement, text, flags=re.MULTILINE)
    if found != 1:
        raise ValueError(f"envoy/bootstrap.yaml has {found} places for {pattern}, not 1")
    return text


def free_ports():
    """Held together until all are known, so that no two are the same."""
    held = []
    for _ in PORTS:
        probe = socket.socket()
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", 0))
        held.append(probe)
    ports = {name: probe.getsockname()[1] for name, probe in zip(PORTS, held)}
    for probe in held:
        probe.close()
    return ports
