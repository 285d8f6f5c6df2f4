"""The story that the demo tells, in five requests: one table, printed by `make run` and played by `make demo`.

A step promises what the client gets and what the access log says about it. Playing sends exactly the bytes of the printed curl line's request.
"""

import http.client
import json
import shlex
import subprocess
import time
from typing import NamedTuple

from stack import short

LOG_SECONDS = 10
SHOWN = ("client_ip", "method", "url", "api", "decision", "cause", "verdict", "outcome", "response_code")
BLOCKED = "203.0.113.7"
OTHER = "198.51.100.20"


class Step(NamedTuple):
    title: str
    why: str
    client: str
    path: str
    status: int
    log: dict
    command: tuple = ()


STEPS = (
    Step(
        "An ordinary request passes",
        "ASE is asked, finds nothing against the client, and says so.",
        OTHER, "/shop/books?id=7", 200, {"decision": "verdict", "verdict": "allowed", "outcome": "upstream"},
    ),
    Step(
        "A client on the deny list gets 403",
        "The list changes while everything runs; the next request sees it.",
        BLOCKED, "/shop/books?id=7", 403, {"decision": "denied", "verdict": "blocked", "outcome": "denied"},
        command=("deny", "add", "ip", BLOCKED, "--ttl", "10m"),
    ),
    Step(
        "Another spelling of the path does not help",
        "The API is found by the normalised path; the log keeps what the client sent.",
        BLOCKED, "/catalog/%2e%2e//sh%6fp/./books", 403, {"decision": "denied", "verdict": "blocked", "outcome": "denied"},
    ),
    Step(
        "An API with blocking off lets the same client pass, and says what it would have done",
        "enable_blocking is false in envoy/demo/apis/catalog.json: how an API is tried before it is protected.",
        BLOCKED, "/catalog/items", 200, {"decision": "verdict", "verdict": "would_block", "outcome": "upstream"},
    ),
    Step(
        "A path that no API definition covers passes, and is logged as such",
        "ASE protects what it knows. The filter's \"unregistered\": \"block\" would refuse it.",
        BLOCKED, "/elsewhere", 200, {"decision": "unregistered", "verdict": "unregistered", "outcome": "upstream"},
    ),
)


def introduction(demo):
    """What `make run` prints once all is ready."""
    lines = [
        "",
        f"gateway        http://{demo.address('GATEWAY_PORT')}",
        f"counters       http://{demo.address('ENVOY_ADMIN_PORT')}/stats?filter=wasmcustom",
        f"ASE            data port {demo.address('ASE_DATA_PORT')}, management port {demo.address('ASE_ADMIN_PORT')}",
        f"access log     {short(demo.access_log)}",
        "",
        "Try, from another terminal. The gateway of this demo believes x-forwarded-for, so that curl can play several clients;",
        "a gateway that clients reach directly must not (see use_remote_address in envoy/bootstrap.yaml).",
    ]
    for number, step in enumerate(STEPS, 1):
        lines += ["", f"{number}. {step.title}.", f"   {step.why}"]
        lines += [f"   $ {line}" for line in command_lines(demo, step)]
        lines.append(f"   shows {promise(step)}")
    lines += ["", f"   $ tail -f {short(demo.access_log)}", "", "Ctrl-C stops everything."]
    return "\n".join(lines)


def play(demo):
    """Plays the steps. Returns the exit code: 0 when each was answered and logged as promised."""
    broken = sum(not play_step(demo, number, step) for number, step in enumerate(STEPS, 1))
    print(f"\n{len(STEPS) - broken} of {len(STEPS)} as promised")
    return 1 if broken else 0


def play_step(demo, number, step):
    demo.pause()
    print(f"\n{number}. {step.title}")
    for line in command_lines(demo, step):
        print(f"   request   $ {line}")
    if step.command:
        run_ase(demo, step)
    seen = demo.access_log.stat().st_size if demo.access_log.exists() else 0
    status, reason = send(demo, step)
    record = logged(demo, step, seen)
    print(f"   verdict   {status} {reason}")
    print(f"   log line  {summary(record) if record else f'none within {LOG_SECONDS} s'}")
    kept = status == step.status and record is not None and all(record.get(key) == value for key, value in step.log.items())
    print("   ok" if kept else f"   NOT AS PROMISED: {promise(step)}")
    if record and not kept:
        print(f"   the whole line: {json.dumps(record)}")
    return kept


def run_ase(demo, step):
    done = subprocess.run(ase_command(demo, step), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=10, text=True)
    for line in done.stdout.splitlines():
        print(f"             {line}")
    if done.returncode != 0:
        print(f"             (ended with {done.returncode})")


def send(demo, step):
    connection = http.client.HTTPConnection("127.0.0.1", demo.ports["GATEWAY_PORT"], timeout=10)
    try:
        connection.request("GET", step.path, headers={"x-forwarded-for": step.client})
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.reason
    except (OSError, http.client.HTTPException) as error:
        return 0, f"no answer: {error}"
    finally:
        connection.close()


def logged(demo, step, seen):
    """The access log's record of this step's request, waited for: records arrive in batches."""
    deadline = time.monotonic() + LOG_SECONDS
    while time.monotonic() < deadline:
        if demo.access_log.exists():
            with open(demo.access_log, "rb") as log:
                log.seek(seen)
                lines = log.read().split(b"\n")[:-1]
            for record in map(json.loads, lines):
                if record.get("url") == step.path and record.get("client_ip") == step.client:
                    return record
        demo.pause()
    return None


def summary(record):
    return " ".join(f"{key}={record[key]}" for key in SHOWN if key in record)


def command_lines(demo, step):
    if step.command:
        yield shlex.join(ase_command(demo, step))
    url = f"http://{demo.address('GATEWAY_PORT')}{step.path}"
    yield f"curl -i --path-as-is -H 'x-forwarded-for: {step.client}' '{url}'"


def ase_command(demo, step):
    return [short(demo.ase), *step.command, "--state-dir", short(demo.state)]


def promise(step):
    return f"{step.status}, and in the log " + " ".join(f"{key}={value}" for key, value in step.log.items())
