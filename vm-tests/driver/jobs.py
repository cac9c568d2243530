"""Several pieces of work at once, each in a process of its own that ends when we do."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import wait

FORK = multiprocessing.get_context("fork")
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """We were asked to end."""


def end_on_signals() -> None:
    """From now on a signal that asks us to end raises Interrupted, once: the next must not break off the clearing up."""
    def on_signal(number: int, _frame) -> None:
        for each in ENDING:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(signal.Signals(number).name)

    for each in ENDING:
        signal.signal(each, on_signal)


class Jobs:
    """At most `limit` at once; what a piece of work returns is its process's exit code, 1 if it raises."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.running: list[multiprocessing.Process] = []
        self.codes: list[int] = []

    def begin(self, work: Callable[[], int]) -> None:
        """Begins `work` as soon as there is a place for it."""
        while len(self.running) >= self.limit:
            self._wait_for_some()
        process = FORK.Process(target=in_a_process, args=(work,))
        process.start()
        self.running.append(process)

    def finish(self) -> None:
        """Waits for all."""
        while self.running:
            self._wait_for_some()

    def interrupt(self) -> None:
        """Asks what runs to end, and waits until it has; it counts for nothing."""
        for process in self.running:
            process.terminate()
        for process in self.running:
            process.join()

    def _wait_for_some(self) -> None:
        wait([process.sentinel for process in self.running])
        # checked again each time
        codes = [(process, process.exitcode) for process in self.running]
        self.codes += [code for _, code in codes if code is not None]
        self.running = [process for process, code in codes if code is None]


def in_a_process(work: Callable[[], int]) -> None:
    threading.Thread(target=end_with_parent, daemon=True).start()
    try:
        raise SystemExit(work())
    except Interrupted as why:
        raise SystemExit(128 + signal.SIGTERM) from why


def end_with_parent() -> None:
    wait([multiprocessing.parent_process().sentinel])
    os.kill(os.getpid(), signal.SIGKILL)
