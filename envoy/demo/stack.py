"""The demo's three processes: their ports, their start in order, their end.

Assumes that it is the only user of the run folder. Never starts anything before every port is known to be free, and never waits without a deadline.
"""

import ctypes
import http.client
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time
from typing import NamedTuple

READY_SECONDS = 60
STOP_SECONDS = 15
LOG_TAIL_LINES = 25


class Refused(Exception):
    """Nothing was started, and why."""


class Stopped(Exception):
    """Someone asked us to stop."""


class Failed(Exception):
    """A process died or never got ready."""


class Port(NamedTuple):
    option: str
    variable: str
    what: str


class Ports(dict):
    """The port number of each variable; all different and all free when it was made."""

    ALL = (
        Port("gateway-port", "GATEWAY_PORT", "the gateway, where clients connect"),
        Port("envoy-admin-port", "ENVOY_ADMIN_PORT", "Envoy's statistics"),
        Port("ase-data-port", "ASE_DATA_PORT", "ASE's data port"),
        Port("ase-admin-port", "ASE_ADMIN_PORT", "ASE's management port"),
        Port("upstream-port", "UPSTREAM_PORT", "the demo API"),
    )

    @classmethod
    def of(cls, arguments):
        ports, faults, owners = cls(), [], {}
        for port in cls.ALL:
            number = getattr(arguments, port.option.replace("-", "_"))
            ports[port.variable] = number
            if not 1 <= number <= 65535:
                faults.append(f"{port.variable}={number} is not a port (1 to 65535)")
            elif number in owners:
                faults.append(f"{port.variable}={number} is the same port as {owners[number]}")
            elif not is_free(number):
                faults.append(f"port {number} for {port.what} is taken; choose another with {port.variable}=")
            owners.setdefault(number, port.variable)
        if faults:
            raise Refused("\ndemo: ".join(faults))
        return ports


def is_free(number):
    with socket.socket() as probe:
        # As the servers will do: a port whose last connections are in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError:
            return False
    return True


class Process:
    """One child, in a session of its own so that the terminal's Ctrl-C reaches only us and the order of the end is ours."""

    def __init__(self, name, command, log):
        self.name, self.log = name, log
        with open(log, "wb") as output:
            self.child = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True, preexec_fn=die_with_parent if sys.platform == "linux" else None,
            )

    def check(self):
        code = self.child.poll()
        if code is not None:
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
            raise Failed(f"{self.name} {how}\n{self.tail()}")

    def tail(self):
        lines = self.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return f"--- the end of {short(self.log)}\n" + "\n".join(lines or ["(empty)"])

    def stop(self):
        """Asks, waits, then insists. Says so when it had to insist."""
        if self.child.poll() is not None:
            return
        self.child.terminate()
        try:
            self.child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            print(f"demo: {self.name} did not stop within {STOP_SECONDS} s and is killed", file=sys.stderr)
            self.child.kill()
            self.child.wait()


LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
PR_SET_PDEATHSIG = 1


def die_with_parent():
    """Runs in the child: the kernel ends it if we are killed without a chance to."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Stack:
    """ASE, the upstream and Envoy."""

    def __init__(self, root, run, ports, arguments, interrupted):
        self.root, self.run, self.ports, self.interrupted = root, run, ports, interrupted
        self.envoy, self.ase, self.filter = (p.absolute() for p in (arguments.envoy, arguments.ase, arguments.filter))
        for path in (self.envoy, self.ase, self.filter):
            if not path.is_file():
                raise Refused(f"{path} is not there")
        self.state = run / "state"
        self.access_log = run / "access.log"
        self.processes = []

    def start(self):
        """All ready when it returns. Envoy is last: its first request finds an ASE to ask."""
        self.state.mkdir()
        demo = self.root / "envoy" / "demo"
        self.launch(
            "the demo API", [sys.executable, demo / "upstream.py", "--port", self.ports["UPSTREAM_PORT"]],
            "upstream.log", "UPSTREAM_PORT", "/",
        )
        self.launch(
            "ASE",
            [self.ase, "serve", "--data-listen", self.address("ASE_DATA_PORT"), "--admin-listen", self.address("ASE_ADMIN_PORT"),
             "--api-dir", demo / "apis", "--state-dir", self.state, "--access-log", self.access_log],
            "ase.log", "ASE_DATA_PORT", "/ase",
        )
        bootstrap = self.run / "envoy.yaml"
        bootstrap.write_text(self.bootstrap())
        self.launch(
            "Envoy", [self.envoy, "--config-path", bootstrap, "--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"],
            "envoy.log", "ENVOY_ADMIN_PORT", "/ready",
        )

    def launch(self, name, command, log, port, path):
        process = Process(name, command, self.run / log)
        self.processes.append(process)
        deadline = time.monotonic() + READY_SECONDS
        while not answers(self.ports[port], path):
            self.pause()
            if time.monotonic() > deadline:
                raise Failed(f"{name} was not ready after {READY_SECONDS} s\n{process.tail()}")

    def pause(self):
        """A short wait. Raises when a process has died or someone asked us to stop."""
        time.sleep(0.1)
        if self.interrupted:
            raise Stopped
        for process in self.processes:
            process.check()

    def watch(self):
        while True:
            self.pause()

    def stop(self):
        """The gateway first, so that ASE can still take its last records; ASE drains on SIGTERM."""
        for process in reversed(self.processes):
            process.stop()

    def address(self, variable):
        return f"127.0.0.1:{self.ports[variable]}"

    def bootstrap(self):
        """envoy/bootstrap.yaml with the values of its `# demo: NAME` lines replaced, each exactly once."""
        values = {
            **{name: self.ports[name] for name in ("GATEWAY_PORT", "ENVOY_ADMIN_PORT", "ASE_DATA_PORT", "UPSTREAM_PORT")},
            "FILTER": self.filter,
            # With one trusted hop, curl plays any client through x-forwarded-for. Right for a demo only.
            "TRUSTED_HOPS": 1,
        }
        text = (self.root / "envoy" / "bootstrap.yaml").read_text()
        for name, value in values.items():
            text, found = re.subn(rf"(: )[^\s}}]+(}}*)(  # demo: {name})$", rf"\g<1>{value}\g<2>\g<3>", text, flags=re.MULTILINE)
            if found != 1:
                raise Refused(f"envoy/bootstrap.yaml has {found} lines that end in '# demo: {name}', not 1")
        return text



def short(path):
    """As someone in the current folder would type it."""
    path = pathlib.Path(path)
    here = pathlib.Path.cwd()
    return os.fspath(path.relative_to(here) if path.is_relative_to(here) else path)


def answers(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
