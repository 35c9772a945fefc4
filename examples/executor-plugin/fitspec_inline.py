"""The smallest endpoint that there can be: every chunk of work is done where it is submitted."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from fitspec.execute.pool import Endpoint


class InlineExecutor(Executor):
    """Calls at once, in the thread of the caller; its futures are done when they are made."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The future of a call that has been made; Ctrl-C and the debugger's quit go through."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def make_executor(_: Endpoint) -> InlineExecutor:
    """What the entry point names; is called with the endpoint's settings for every executor."""
    return InlineExecutor()
