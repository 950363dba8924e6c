"""One run at a time in the folder of a study, and nothing left over from a killed one.

A run holds a lock of the operating system, which ends with its process however that ends: it is
never stale. Whoever holds it may end what a killed run left alive and remove what it left behind.
"""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import psutil

from lib.study.errors import ArtefactError
from lib.study.paths import ROOT

MARK = "STUDY_RUN_FOLDER"
"""Environment variable that every process of a run inherits, kernels of notebooks too (these have
a session of their own, so that a process group would not reach them)."""
GRACE = 10.0  # s, for Snakemake to end by itself after an interruption
_POLL, _PATIENCE = 0.2, 30.0  # s
STATUS = 60.0  # s, between two lines that say where a run stands
NOISE = (
    *("Select jobs to execute", "Assuming unrestricted shared", "Provided cores", "Using shell"),
    *("Rules claiming more threads", "Provided resources", "Execute "),
    # Of a failed cell its reason has been said, in a line that begins with "error".
    *("RuleException:", "CalledProcessError in file", "Command 'set -euo pipefail"),
    *("    message: ", "    jobid: ", "    input: ", "    output: ", "    shell:"),
    *("        TF_NUM_INTRAOP_THREADS", "        STUDY_DEVICES", "        (command exited with "),
)
# What `atomic`, `GrowingArrays` without a key and notebooks/execute.py call unfinished work.
_LEFT = re.compile(r"\.(?:partial|running)-(\d{1,7})-")


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the lock of a study's folder; on entry, end survivors and clean what they left.

    An ArtefactError if another run holds it says which process and since when.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".run.lock", "a+", encoding="utf-8") as lock, _shared_lock() as shared:
        _take(lock, folder)
        lock.truncate(0)
        since = datetime.now().astimezone().isoformat(" ", "seconds")
        json.dump({"pid": os.getpid(), "since": since}, lock)
        lock.flush()
        end_survivors(folder)
        _remove_snakemake_locks(folder, shared)
        clean(folder)
        yield


def _take(lock, folder: Path) -> None:
    """Take the lock; a run whose make was killed a moment ago is given time to end."""
    deadline = time.monotonic() + 3
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise ArtefactError(f"{folder}: {_who(lock)}") from None
            time.sleep(_POLL)


def _who(lock) -> str:
    lock.seek(0)
    try:
        holder = json.loads(lock.read())
        pid, since = holder["pid"], holder["since"]
    except (ValueError, KeyError):  # taken a moment ago, and not yet said by whom
        return "another run has just begun here. Wait for it, or name another folder by RESULTS."
    return (
        f"a run is going on here since {since} (process {pid}). Wait for it, end it with "
        f"`kill {pid}`, or name another folder by RESULTS."
    )


@contextmanager
def _shared_lock() -> Iterator:
    """Every run of this checkout holds it together with others: alone, all locks are stale."""
    path = ROOT / ".snakemake" / "runs.lock"
    path.parent.mkdir(exist_ok=True)
    with open(path, "a", encoding="utf-8") as lock:
        yield lock


def _remove_snakemake_locks(folder: Path, shared) -> None:
    """Remove the locks that killed runs left: Snakemake keeps lists of files, and no process."""
    try:
        fcntl.flock(shared, fcntl.LOCK_EX | fcntl.LOCK_NB)
        alone = True
    except BlockingIOError:
        alone = False  # a run of another study: its locks stay
    for lock in (ROOT / ".snakemake" / "locks").glob("*.lock"):
        with suppress(OSError):
            if alone or f"{folder}{os.sep}" in lock.read_text(encoding="utf-8", errors="replace"):
                lock.unlink()
    fcntl.flock(shared, fcntl.LOCK_SH)


def processes(folder: Path) -> list[int]:
    """Live processes of a run in `folder`, without this one and those that started it."""
    every = psutil.process_iter(["environ"])  # which is None for those of other users
    found = {p.pid for p in every if (p.info["environ"] or {}).get(MARK) == str(folder)}
    return sorted(found - {os.getpid(), os.getppid()})


def end_survivors(folder: Path) -> None:
    """Kill what lives on of a run in `folder`, and wait until it is gone; else an ArtefactError."""
    deadline = time.monotonic() + _PATIENCE
    while alive := processes(folder):
        if time.monotonic() > deadline:
            raise ArtefactError(
                f"{folder}: processes {', '.join(map(str, alive))} of a killed run do not end. "
                "Expected none: end them, then run again."
            )
        for pid in alive:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def clean(folder: Path) -> None:
    """Remove unfinished files of dead processes in a study's folder and in the shared weights.

    States and keyed partial files, from which training and reading films go on, stay.
    """
    for path in [*folder.rglob(".*-*"), *(folder.parent / "weights").glob(".*-*")]:
        match = _LEFT.match(path.name)
        if match and not psutil.pid_exists(int(match[1])):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def run(
    folder: Path, command: Sequence[str], *, prepare: Callable[[], None], parent: int = 0,
    status: Callable[[], str] | None = None,
) -> int:  # fmt: skip
    """Run `command` alone in a study's folder; its exit status, with no process of it left.

    Every process of the command inherits `MARK`. Raises as `held`.

    Parameters
    ----------
    prepare : callable
        Called once the folder is held, before the command.
    parent : int
        Process with which the run ends, by default the one that started this one.
    status : callable, optional
        Says in a line where the run stands; printed every `STATUS` seconds where it has changed.
    """
    parent = parent or os.getppid()
    with held(folder):
        prepare()
        with _signals() as received:
            child = subprocess.Popen(
                command, env=os.environ | {MARK: str(folder)}, stderr=subprocess.PIPE, text=True,
                errors="replace",
            )  # fmt: skip
            relay = threading.Thread(target=_relay, args=(child.stderr,), daemon=True)
            relay.start()
            try:
                _wait(child, received, parent, status)
                relay.join(1)
            finally:
                # Also what outlived a killed Snakemake: it must not write on unseen.
                end_survivors(folder)
                child.wait()
                clean(folder)
        return 128 + received[0] if received else child.returncode % 256


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Signals that ask for an end, in order, collected instead of obeyed at once."""
    received: list[int] = []
    asked = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {s: signal.signal(s, lambda number, _: received.append(number)) for s in asked}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _relay(lines: Iterable[str]) -> None:
    """Print what Snakemake says, but for what says nothing to who waits for a study."""
    for line in lines:
        if not line.startswith(NOISE):
            print(line, end="", file=sys.stderr, flush=True)


def _wait(child: subprocess.Popen, received: list[int], parent: int, status) -> None:
    """Until the child has ended, is asked to end and had its time, or make was killed."""
    deadline, shell = None, os.getppid()
    due, told = time.monotonic() + STATUS, ""
    while child.poll() is None:
        if status and time.monotonic() > due:
            due = time.monotonic() + STATUS
            if (line := status()) != told:
                print(told := line, file=sys.stderr, flush=True)
        if os.getppid() != shell or not psutil.pid_exists(parent):
            print("error: the make of this run was killed; the run ends too", file=sys.stderr)
            return
        if received and deadline is None:
            deadline = time.monotonic() + GRACE
            if received[0] != signal.SIGINT:  # a terminal has sent that to the child as well
                child.send_signal(signal.SIGINT)
        if deadline is not None and time.monotonic() > deadline:
            return
        time.sleep(_POLL)
