"""Ctrl-C and SIGTERM: the same request to end, which may have to wait for a moment."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

PAUSE = 0.02
"""Seconds between looks at whether an import is done."""


def interrupt(number: int, frame: FrameType | None) -> None:
    """A handler: KeyboardInterrupt, but the first one not in the middle of an import.

    Libraries are not made for that: pydantic tells of a wrong model, or crashes. A second one does
    not wait: the import may hang.
    """
    if hasattr(signal, "setitimer"):
        waiting, _ = signal.setitimer(signal.ITIMER_REAL, 0.0)
        if not waiting and _imports(frame):
            _send_after_import(number)
            return
    raise KeyboardInterrupt


def _send_after_import(number: int) -> None:
    """The signal again, and not the interrupt: by then it may have to wait for something else."""

    def look(_: int, frame: FrameType | None) -> None:
        if not _imports(frame):
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.raise_signal(number)

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, PAUSE, PAUSE)


def _imports(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Signals wait until the block is done, so that nothing is left half done.

    A signal mask would not do: with the pool's threads around, another thread takes the signal and
    Python calls its handler in this one all the same.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python calls handlers in the main thread only
        return
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for received in came:
            signal.raise_signal(received)
