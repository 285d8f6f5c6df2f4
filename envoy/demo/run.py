"""Starts ASE, a demo API and Envoy with the filter, and stops them together: `make run` and `make demo`.

Everything listens on loopback and every file it writes is in .run/. With --play it plays the story's requests itself and ends non-zero if one is
not answered as promised. It never leaves a process behind: what it started is stopped by process id, on Ctrl-C, on SIGTERM, when one of them dies,
and (on Linux) when it is killed itself. Standard library only.
"""

import argparse
import fcntl
import pathlib
import shutil
import signal
import sys

import stack
import story

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
RUN = ROOT / ".run"


class Interrupted:
    """Whether someone asked us to stop. Signals only set this; the loops look at it, so that nothing is cut off half-way."""

    def __init__(self):
        self.signal = None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.note)

    def note(self, number, _frame):
        self.signal = number

    def __bool__(self):
        return self.signal is not None


def main():
    # Lines appear as they are printed, on a pipe too.
    sys.stdout.reconfigure(line_buffering=True)
    arguments = parse_arguments()
    interrupted = Interrupted()
    try:
        ports = stack.Ports.of(arguments)
        lock = own_run_folder()
        demo = stack.Stack(ROOT, RUN, ports, arguments, interrupted)
    except stack.Refused as refusal:
        print(f"demo: {refusal}", file=sys.stderr)
        return 2
    try:
        demo.start()
        if arguments.play:
            return story.play(demo)
        print(story.introduction(demo))
        demo.watch()
    except stack.Stopped:
        pass
    except stack.Failed as failure:
        print(f"\ndemo: {failure}", file=sys.stderr)
        return 1
    finally:
        demo.stop()
        lock.close()
    return 130 if arguments.play and interrupted else 0


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--play", action="store_true", help="play the requests instead of waiting for yours")
    for name in ("envoy", "ase", "filter"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    for port in stack.Ports.ALL:
        parser.add_argument(f"--{port.option}", type=int, required=True, help=f"{port.what} (make {port.variable}=...)")
    return parser.parse_args()


def own_run_folder():
    """Empties .run/, so that no deny list of an earlier run spoils this one. The lock keeps a second demo out while it is ours."""
    RUN.mkdir(exist_ok=True)
    lock = open(RUN / "lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise stack.Refused("another demo is running from this folder (it holds .run/lock); stop it first") from None
    for path in RUN.iterdir():
        if path.name != "lock":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return lock


if __name__ == "__main__":
    sys.exit(main())
