"""The Globus Compute SDK, kept to what fitspec needs of it and told to trust nobody.

Imported by :mod:`fitspec.execute.globus` when work is sent, for importing the SDK takes a second
and starts a thread.
"""

from __future__ import annotations

import functools
import json
import logging
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from typing import Any, TypeVar
from uuid import UUID

from globus_compute_sdk import Client
from globus_compute_sdk import Executor as ComputeExecutor
from globus_compute_sdk.errors import DeserializationError
from globus_compute_sdk.sdk import executor as sdk
from globus_compute_sdk.sdk.batch import Batch
from globus_compute_sdk.serialize import ComputeSerializer, JSONData
from globus_sdk import GlobusAPIError, GlobusError

from fitspec.errors import TooLargeError

Result = TypeVar("Result")

MAX_SUBMISSION = 4_000_000
"""Bytes of one request; the service's documentation puts 5 MB on a submission, all its tasks
together, which the SDK does not mind."""

TOO_LARGE = 413
"""HTTP's status for a request that is."""

BURST = 8
"""Small submissions in as many seconds before the SDK slows down to one a second (its own default
is one in 4 s); the service takes 20 requests in 10 s."""

PATIENCE = 2.0
"""Seconds for the SDK's threads to stop when they are told to."""

for _name in ("globus_compute_sdk", "globus_sdk", "pika"):
    # what it has to say comes as errors; without a handler Python prints it among the progress
    logging.getLogger(_name).addHandler(logging.NullHandler())


class JSONSerializer(ComputeSerializer):
    """Reads JSON alone.

    The SDK's own list of what may be read must name a strategy for code, and all of these run code
    of the sender's choosing, wherever a result names them.
    """

    def __init__(self) -> None:
        super().__init__(strategy_data=JSONData())

    def deserialize(self, payload: str) -> Any:
        """A result; raises DeserializationError on anything but JSON."""
        if not payload.startswith(JSONData.identifier):
            raise DeserializationError("a result that is not JSON was refused")
        return JSONData().deserialize(payload)


class LineClient(Client):
    """Sends no more at a time than the service takes, and nothing once it is closed."""

    closed = False

    def batch_run(self, endpoint_id: UUID, batch: Batch) -> dict[str, Any]:
        """Submit tasks, in several requests if need be; the answers are put together."""
        found: dict[str, list[str]] = defaultdict(list)
        response: dict[str, Any] = {}
        waiting = deque(_parts(batch))
        while waiting and not self.closed:
            part = waiting.popleft()
            batch.tasks = defaultdict(list)
            for function, content in part:
                batch.tasks[function].append(content)
            try:
                response = super().batch_run(endpoint_id, batch)
            except GlobusAPIError as refused:
                if refused.http_status != TOO_LARGE or len(part) == 1:
                    raise
                half = len(part) // 2
                waiting.extendleft([part[half:], part[:half]])
                continue
            batch.task_group_id = response["task_group_id"]
            for name, tasks in response["tasks"].items():
                found[name].extend(tasks)
        if self.closed:  # else the SDK would listen for answers that nobody waits for
            raise RuntimeError("abandoned")
        return {**response, "tasks": dict(found)}

    def _log_version_mismatch(self, worker_details: dict[str, Any] | None) -> None:
        """The SDK warns of other versions; fitspec compares what matters itself."""


def _parts(batch: Batch) -> Iterator[list[tuple[UUID, str]]]:
    """A batch's tasks in their order, in parts within the limit."""
    part: list[tuple[UUID, str]] = []
    size = 0
    for function, contents in batch.tasks.items():
        for content in contents:
            if part and size + len(content) > MAX_SUBMISSION:
                yield part
                part, size = [], 0
            part.append((function, content))
            size += len(content)
    yield part


class Line(Executor):
    """An executor on a Globus Compute endpoint.

    What the service refuses shuts the SDK's executor for good. This one takes a new one then, and
    answers that are on their way still come.
    """

    def __init__(self, client: LineClient, endpoint: UUID) -> None:
        self._client = client
        self._endpoint = endpoint
        self._functions: dict[Callable[..., Any], str] = {}
        self._executor = self._new()
        self._shut = False
        self._lock = threading.RLock()
        self._executor.task_group_id = None  # not that of an earlier one, with its lost answers

    def submit(self, fn: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        """A future of the answer, or of the reason why nothing was sent."""
        size = len(json.dumps(args))
        if size > MAX_SUBMISSION:  # it would be refused, and all that are submitted with it
            return _failed(TooLargeError(f"{size / 1e6:.1f} MB are more than the service takes"))
        try:
            if fn not in self._functions:
                self._functions[fn] = self._client.register_function(fn)
            answer: Future[Result] = Future()
            self._send(answer, self._functions[fn], args, kwargs)
        except (GlobusError, OSError) as error:
            return _failed(error)
        return answer

    def _send(self, answer: Future[Any], *call: Any) -> None:
        with self._lock:
            if self._shut:
                self._renew()
            try:
                sent = self._executor.submit_to_registered_function(*call)
            except RuntimeError:
                if self._client.closed:
                    raise
                self._renew()
                sent = self._executor.submit_to_registered_function(*call)
            look = functools.partial(self._came, self._executor, answer, call)
        sent.add_done_callback(look)

    def _came(
        self, executor: ComputeExecutor, answer: Future[Any], call: Any, sent: Future[Any]
    ) -> None:
        if sent.cancelled():  # an executor that shuts cancels what it has not sent yet
            self._shut |= executor is self._executor
            if not self._client.closed:
                self._send(answer, *call)
        elif (error := sent.exception()) is None:
            answer.set_result(sent.result())
        else:
            # a refusal reaches its futures before the executor, which takes more until it is shut
            refused = isinstance(error, GlobusError | OSError)
            self._shut |= refused and executor is self._executor
            answer.set_exception(error)

    def _renew(self) -> None:
        group = self._executor.task_group_id
        self._executor = self._new()
        self._executor.task_group_id = group
        self._shut = False

    def _new(self) -> ComputeExecutor:
        return ComputeExecutor(
            self._endpoint,
            client=self._client,
            serializer=JSONSerializer(),
            result_serializers=[JSONData()],
            api_burst_limit=BURST,
            api_burst_window_s=BURST,
        )

    def abandon(self) -> None:
        """Wait for nothing that is still in flight.

        The SDK would wait for answers, and so would the interpreter's exit. Its threads are told to
        stop by a daemon, whose own threads keep nobody from leaving.
        """
        self._client.closed = True
        stopper = threading.Thread(target=self._stop, daemon=True)
        stopper.start()
        stopper.join(PATIENCE)
        sdk._REGISTERED_EXECUTORS.pop(id(self._executor), None)
        sdk._RESULT_WATCHERS.pop(self._executor.task_group_id, None)

    def _stop(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._executor._task_submitter.join(PATIENCE / 2)
        watcher = sdk._RESULT_WATCHERS.pop(self._executor.task_group_id, None)
        if watcher is None:
            return
        connection = watcher._connection
        watcher.shutdown(wait=False, cancel_futures=True)
        watcher.join(PATIENCE)
        if connection is not None and not watcher.is_alive():
            connection.ioloop.close()  # the SDK leaves its sockets open


def _failed(error: Exception) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_exception(error)
    return future
