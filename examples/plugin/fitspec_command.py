"""An endpoint for fitspec: each chunk goes through a command that ends in a Python elsewhere.

In the user's ``config.toml``:

    [endpoints.lab]
    kind = "command"
    workers = 8
    options = { command = ["ssh", "lab.example.org", "/opt/fitspec/bin/python", "-m"] }

Payloads and answers are JSON, so that is all that goes through the pipe. The other side needs
fitspec and this module.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

from fitspec.errors import EndpointError, UsageError, WorkerLostError
from fitspec.execute.pool import Endpoint
from fitspec.worker import Answer, Payload, run_chunk


class CommandExecutor(Executor):
    """Runs each chunk in a process of its own; at most ``workers`` at a time.

    Args:
        endpoint: whose ``options.command`` is what to start; the module's name is added to it.

    Raises:
        UsageError: there is no such option.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        command = endpoint.options.get("command")
        if not isinstance(command, list) or not all(isinstance(part, str) for part in command):
            problem = f"endpoint {endpoint.name!r} has no command"
            raise UsageError(problem, 'give options = { command = ["ssh", "HOST", ...] }')
        self._command = [*command, __name__]
        self._threads = ThreadPoolExecutor(endpoint.workers or 1)
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._is_closed = False

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Send a chunk; fitspec ships no other function."""
        if function is not run_chunk:
            raise TypeError(f"only run_chunk can be sent, not {function!r}")
        return self._threads.submit(self._run, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave nothing behind: without waiting, what still runs is killed."""
        with self._lock:
            self._is_closed = True
            for process in () if wait else self._processes:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # with what it has started itself
        self._threads.shutdown(wait, cancel_futures=cancel_futures or not wait)

    def _run(self, chunk: Payload) -> Answer:
        with self._started() as process:
            answer, complaint = process.communicate(json.dumps(chunk).encode())
        if process.returncode != 0:
            last = complaint.decode(errors="replace").strip().rpartition("\n")[2]
            raise WorkerLostError(f"{self._command[0]} ended with {process.returncode}: {last}")
        return json.loads(answer)

    @contextlib.contextmanager
    def _started(self) -> Iterator[subprocess.Popen[bytes]]:
        with self._lock:
            if self._is_closed:
                raise WorkerLostError("closed before it was sent")
            try:
                process = subprocess.Popen(
                    self._command, start_new_session=True,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                )  # fmt: skip
            except OSError as error:
                raise EndpointError(
                    f"{self._command[0]}: {error.strerror}", "correct options.command"
                ) from error
            self._processes.add(process)
        try:
            yield process
        finally:
            with self._lock:
                self._processes.discard(process)


def main() -> None:
    """On the other side: one chunk from the standard input, its answer to the standard output."""
    with contextlib.redirect_stdout(sys.stderr):  # what a library may print is no answer
        answer = run_chunk(json.load(sys.stdin))
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
