"""Globus Compute endpoints (funcX, as it was called): fits on somebody's cluster, by its UUID.

The endpoint's answers are JSON, so that its owner can send wrong numbers but no code. fitspec must
be installed there, in the very version that is here.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from fitspec.errors import (
    EndpointAwayError,
    EndpointError,
    ExecutionError,
    FitspecError,
    MissingExtraError,
    TooLargeError,
    UsageError,
    WorkerLostError,
)
from fitspec.execute import pool
from fitspec.execute.pool import Endpoint, Habits

if TYPE_CHECKING:
    from globus_sdk import GlobusAPIError

    from fitspec.execute.globus_line import LineClient

WORKERS = 8
"""Chunks taken to be at work at a time where nobody says: the service does not tell how many
workers an endpoint has, and it may start some only when there is work."""

TIMEOUT = 10.0
"""Seconds for the web service to say that it is there."""

OUTAGE = (5.0, 15.0, 40.0)
"""Seconds between tries to reach the service again, once it has been of use."""

PAUSE = 30.0
"""Seconds; an endpoint's process that was killed is taken for alive for some heartbeats of 30 s."""

INSTALL = "install the same fitspec in the environment of the endpoint's workers"
NEVER_STARTS = ("Failed to start or unexpected error", "user endpoint", "ScalingFailed")
"""Words in a failure that no other try will cure: templates that are wrong, refused batch jobs."""

LOG_IN = (
    "log in once with globus-compute-endpoint login, or set GLOBUS_COMPUTE_CLIENT_ID and"
    " GLOBUS_COMPUTE_CLIENT_SECRET"
)


@dataclass(frozen=True, slots=True)
class GlobusPool:
    """Opens executors on a Globus Compute endpoint.

    Attributes:
        endpoint: its ``id`` is the UUID; ``workers`` is how many chunks can be at work at a time.

    Raises:
        UsageError: the endpoint has no UUID.
        MissingExtraError: the SDK is not installed.
    """

    endpoint: Endpoint
    _known: threading.Event = field(default_factory=threading.Event, repr=False, compare=False)

    def __post_init__(self) -> None:
        if importlib.util.find_spec("globus_compute_sdk") is None:
            raise MissingExtraError("globus-compute-sdk", "globus")
        remedy = "give the UUID that globus-compute-endpoint list shows as its id"
        try:
            UUID(self.endpoint.id or "")
        except ValueError:
            problem = f"endpoint {self.name!r}: id {self.endpoint.id or ''!r} is no UUID"
            raise UsageError(problem, remedy) from None

    @property
    def name(self) -> str:
        """What the user calls the endpoint."""
        return self.endpoint.name

    @property
    def id(self) -> UUID:
        """What the service calls it."""
        return UUID(self.endpoint.id or "")

    @property
    def workers(self) -> int:
        """Chunks that can be at work at a time, as far as is known."""
        return self.endpoint.workers or WORKERS

    @property
    def habits(self) -> Habits:
        """Everything is submitted at once: a round trip takes a second, and submissions are
        rationed. Payloads and answers are kept well below the service's 5 and 10 MB."""
        return Habits(seconds=10.0, in_flight=None, pause=PAUSE, max_bytes=3_900_000)

    @contextlib.contextmanager
    def open(self) -> Iterator[Executor]:
        """An executor on the endpoint; leaving the block abandons what is still in flight.

        Raises:
            EndpointError: the service cannot be reached, or does not know the user or the
                endpoint; or the endpoint is offline when the first executor is opened. Later
                ones rely on the service, which keeps tasks for an endpoint that comes back.
        """
        from fitspec.execute.globus_line import Line

        client = self._client_again() if self._known.is_set() else self._client()
        if not self._known.is_set():
            self._require_online(client)
            self._known.set()
        line = Line(client, self.id)
        try:
            yield line
        finally:
            line.abandon()

    def explain(self, error: BaseException) -> FitspecError:
        """What a future's exception means."""
        from globus_compute_sdk.errors import DeserializationError, TaskExecutionFailed
        from globus_sdk import GlobusAPIError

        if isinstance(error, TaskExecutionFailed):
            return self._failed_there(error.remote_data)
        if isinstance(error, GlobusAPIError):
            return self._refused(error)
        if isinstance(error.__cause__, DeserializationError):
            problem = f"endpoint {self.name!r} answered with something else than JSON"
            return ExecutionError(problem, "do not trust this endpoint")
        return pool.explain(error)

    def _client_again(self) -> LineClient:
        """The same in the middle of a run, which a short outage should not end."""
        for pause in OUTAGE:
            try:
                return self._client()
            except EndpointError:
                time.sleep(pause)
        return self._client()

    def _client(self) -> LineClient:
        """Somebody who is logged in at a service that is there."""
        import requests
        from globus_sdk import GlobusAPIError, GlobusError

        from fitspec.execute.globus_line import LineClient

        try:
            client = LineClient(do_version_check=False)
        except ValueError as error:  # a secret without its id
            raise EndpointError(str(error), LOG_IN) from error
        address = client.web_service_address
        try:
            # the SDK would try for a minute
            requests.get(f"{address}/v2/version", timeout=TIMEOUT).close()
            _log_in(client)
            client.version_check()
        except (requests.RequestException, GlobusError) as error:
            if isinstance(error, GlobusAPIError):
                raise self._lasting(self._refused(error)) from error
            problem = f"Globus Compute ({address}) cannot be reached: {_first_line(error)}"
            raise EndpointError(problem, "check the network, and its proxy") from error
        except FitspecError:
            raise
        except Exception as error:  # also the SDK's own: its version is too old for the service
            raise EndpointError(f"Globus Compute: {_first_line(error)}", "") from error
        return client

    def _require_online(self, client: LineClient) -> None:
        from globus_sdk import GlobusAPIError, GlobusError

        try:
            status = client.get_endpoint_status(self.id)["status"]
        except GlobusAPIError as error:
            if error.http_status == 403:  # of others' endpoints one need not know the status
                return
            raise self._lasting(self._refused(error)) from error
        except GlobusError as error:
            raise EndpointError(f"Globus Compute: {_first_line(error)}", "") from error
        if status == "offline":
            problem = f"endpoint {self.name!r} ({self.id}) is offline"
            raise EndpointError(problem, "globus-compute-endpoint start it, where it lives")

    def _refused(self, error: GlobusAPIError) -> FitspecError:
        """What the web service's status means."""
        endpoint = f"endpoint {self.name!r} ({self.id})"
        reason = f"HTTP {error.http_status}, {_first_line(error.message or error.text)}"
        match error.http_status:
            case 413:
                return TooLargeError(f"the service does not take so much at once: {reason}")
            case 404:
                problem = f"Globus Compute knows no {endpoint}: {reason}"
                return EndpointError(problem, "compare it with globus-compute-endpoint list")
            case 401 | 403:
                return EndpointError(f"not authorised to use {endpoint}: {reason}", LOG_IN)
            case 429 | 500 | 502 | 503 | 504:
                return WorkerLostError(f"Globus Compute is out of order: {reason}")
        return EndpointError(f"Globus Compute refuses work for {endpoint}: {reason}", "")

    def _lasting(self, error: FitspecError) -> EndpointError:
        """Where there is no executor yet, nothing can be sent again."""
        return error if isinstance(error, EndpointError) else EndpointError(str(error), "")

    def _failed_there(self, text: str) -> FitspecError:
        """What a traceback from the endpoint means."""
        if "WorkerLost" in text or "ManagerLost" in text:
            return WorkerLostError("a worker of the endpoint died (killed, or crashed)")
        if "PID path" in text:  # the daemon takes one that was killed for alive, for some seconds
            return EndpointAwayError("the endpoint's process is gone, and not back yet")
        if "MaxResultSizeExceeded" in text:
            return TooLargeError("the endpoint does not carry so large an answer")
        last = text.strip().splitlines()[-1].strip() if text.strip() else "no reason given"
        problem = f"endpoint {self.name!r} cannot run fitspec: {last}"
        if any(name in text for name in ("ModuleNotFoundError", "ImportError", "No module named")):
            return EndpointError(problem, INSTALL)
        if "not permitted on endpoint" in text or "disabled by current configuration" in text:
            return EndpointError(problem, "ask its owner to allow it")
        if any(words in text for words in NEVER_STARTS):
            brief = " ".join(text.split())[:200]
            problem = f"endpoint {self.name!r} does not start: {brief}"
            return EndpointError(problem, "see its log, where it lives")
        return WorkerLostError(f"the endpoint failed: {last}")


def _log_in(client: LineClient) -> None:
    """Through the browser where somebody sits at a terminal; client credentials need nobody."""
    from globus_sdk import UserApp

    app: Any = client.app
    if not isinstance(app, UserApp) or not app.login_required():
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise EndpointError("not logged in to Globus, and there is no terminal to do so", LOG_IN)
    app.login()


def _first_line(message: object) -> str:
    """The first line of a text that may be long."""
    lines = str(message).strip().splitlines()
    return lines[0][:200] if lines else ""
