"""A small stand-in for Globus Compute's web service: the routes that client and endpoint use.

It takes submissions by HTTP, puts tasks where a real endpoint fetches them, and results where a
real client waits for them. So it proves how these two behave, and nothing of the policy of the
real service: its limits, its accounts, and what it does about endpoints that are gone.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pika
from globus_compute_common.messagepack import pack, unpack
from globus_compute_common.messagepack.message_types import (
    EPStatusReport,
    Result,
    ResultErrorDetails,
    Task,
)
from loopback.broker import Broker

Json = dict[str, Any]

USER = "11111111-2222-4333-8444-555555555555"
"""Who everybody is logged in as."""

MAX_SUBMISSION = 5_000_000
"""Bytes of one submission; the number is that of the real service's documentation."""

SETTLED = 3.0
"""Seconds after which a daemon that has registered gets commands: it forks for each, and where its
threads are still starting and logging, the child may inherit a locked stream and hang for ever."""

COMMANDS, TASKS, RESULTS, HEARTBEATS = "commands", "tasks", "results", "heartbeats"


class Refused(Exception):
    """An answer that is no success: HTTP's status and the reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason


@dataclass
class Service:
    """The service and what it knows; :meth:`start` and :meth:`stop` it."""

    broker: Broker
    functions: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    """Task group of every task."""
    waiting: dict[str, str] = field(default_factory=dict)
    """Endpoint of every task that has no result yet."""
    endpoints: dict[str, float] = field(default_factory=dict)
    """When every endpoint was last heard of, and 0.0 where it said goodbye."""
    registered: dict[str, float] = field(default_factory=dict)
    """When every endpoint last registered."""
    registrations: int = 0
    revoked: bool = False
    """Nobody is authorised."""
    submissions: list[int] = field(default_factory=list)
    """Bytes of every submission."""
    delivered: int = 0
    forge: Callable[[Result], Result] | None = None
    """What a hostile endpoint would make of a result."""

    def start(self) -> None:
        service = self

        class Handler(_Handler):
            pass

        Handler.service = service
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._closing = threading.Event()
        with self.broker.channel() as channel:
            channel.exchange_declare("compute", "direct", durable=True)
            for name in (RESULTS, HEARTBEATS):
                self._declare(channel, name)
        self._threads = [
            threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True),
            threading.Thread(target=self._forward, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        for thread in self._threads:
            thread.join(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    # what client and endpoint ask for

    def version(self) -> Json:
        return {"min_sdk_version": "4.0.0", "min_ep_version": "4.0.0", "api": "stand-in"}

    def register_function(self, body: Json) -> Json:
        name = str(uuid.uuid4())
        self.functions[name] = body["function_code"]
        return {"function_uuid": name}

    def register_endpoint(self, endpoint: str | None) -> Json:
        endpoint = endpoint or str(uuid.uuid4())
        with self.broker.channel() as channel:
            self._declare(channel, f"{COMMANDS}.{endpoint}")
            self._declare(channel, f"{TASKS}.{endpoint}")
            channel.queue_purge(f"{COMMANDS}.{endpoint}")  # or they would come at once
        self.endpoints[endpoint] = self.registered[endpoint] = time.monotonic()
        if endpoint in self.waiting.values():
            self.start_user_process(endpoint)
        self.registrations += 1
        return {
            "endpoint_id": endpoint,
            "command_queue_info": self._consumed(f"{COMMANDS}.{endpoint}"),
            "heartbeat_queue_info": self._published(HEARTBEATS),
        }

    def start_user_process(self, endpoint: str) -> None:
        """What a submission would do, without one."""
        self._command_when_settled(endpoint, {})

    def status(self, endpoint: str) -> Json:
        heard = self._known(endpoint)
        online = time.monotonic() - heard < 20.0 if heard else False
        return {"status": "online" if online else "offline", "details": {}}

    def submit(self, endpoint: str, body: Json, size: int) -> Json:
        self._known(endpoint)
        self.submissions.append(size)
        if size > MAX_SUBMISSION:
            raise Refused(413, f"{size} bytes are more than {MAX_SUBMISSION}")
        group = body.get("task_group_id") or str(uuid.uuid4())
        tasks = {
            function: [str(uuid.uuid4()) for _ in payloads]
            for function, payloads in body["tasks"].items()
        }
        with self.broker.channel() as channel:
            self._declare(channel, f"{RESULTS}.{group}")
            self._command_when_settled(endpoint, body)
            for function, payloads in body["tasks"].items():
                for task, payload in zip(tasks[function], payloads, strict=True):
                    self.groups[task], self.waiting[task] = group, endpoint
                    self._send_task(channel, endpoint, function, task, payload, body)
        return {
            "request_id": str(uuid.uuid4()),
            "task_group_id": group,
            "endpoint_id": endpoint,
            "tasks": tasks,
        }

    def result_queue(self) -> Json:
        return {"queue_prefix": f"{RESULTS}.", "connection_url": self.broker.url}

    def token(self, form: dict[str, list[str]]) -> Json:
        """Only for the resource server that is asked for; the client is strict about it."""
        [scopes] = form.get("scope", ["openid"])
        tokens = []
        for scope in scopes.split():
            named = re.search(r"/scopes/([0-9a-f-]{36})/", scope)
            server = "funcx_service" if named else "auth.globus.org"
            tokens.append({"resource_server": server, "scope": scope})
        common = {"access_token": "token", "expires_in": 36000, "token_type": "Bearer"}
        first, *others = [common | token for token in _merged(tokens)]
        return first | {"other_tokens": others}

    def user(self) -> Json:
        return {"sub": USER, "identity_set": [{"sub": USER}]}

    # what happens behind

    def _known(self, endpoint: str) -> float:
        if self.revoked:
            raise Refused(403, "not authorised")
        if endpoint not in self.endpoints:
            raise Refused(404, f"no endpoint {endpoint}")
        return self.endpoints[endpoint]

    def _command_when_settled(self, endpoint: str, body: Json) -> None:
        wait = self.registered[endpoint] + SETTLED - time.monotonic()
        timer = threading.Timer(max(0.0, wait), self._command, (endpoint, body))
        timer.daemon = True
        timer.start()

    def _command(self, endpoint: str, body: Json) -> None:
        """Tell the daemon to see to it that the user's endpoint process runs."""
        credentials = {
            "endpoint_id": endpoint,
            "task_queue_info": self._consumed(f"{TASKS}.{endpoint}"),
            "result_queue_info": self._published(RESULTS),
            "heartbeat_queue_info": self._published(HEARTBEATS),
        }
        command = {
            "command": "cmd_start_endpoint",
            "args": [],
            "kwargs": {
                "name": f"uep.{endpoint}",
                "user_opts": body.get("user_endpoint_config") or {},
                "user_runtime": body.get("user_runtime") or {},
                "amqp_creds": credentials,
            },
            "globus_effective_identity": USER,
            "globus_username": "user@example.org",
            "globus_identity_set": [{"sub": USER}],
        }
        properties = pika.BasicProperties(
            content_type="application/json", timestamp=int(time.time()), delivery_mode=2
        )
        content = json.dumps(command).encode()
        gone = contextlib.suppress(pika.exceptions.AMQPError, OSError)  # there may be no broker
        with gone, self.broker.channel() as channel:
            channel.basic_publish("compute", f"{COMMANDS}.{endpoint}", content, properties)

    def _send_task(
        self, channel: Any, endpoint: str, function: str, task: str, payload: str, body: Json
    ) -> None:
        buffer = self.functions[function] + payload
        headers: Json = {"function_uuid": function, "task_uuid": task}
        if body.get("result_serializers"):
            headers["result_serializers"] = body["result_serializers"]
        channel.basic_publish(
            "compute",
            f"{TASKS}.{endpoint}",
            pack(Task(task_id=uuid.UUID(task), task_buffer=buffer)),
            pika.BasicProperties(headers=headers, delivery_mode=2),
        )

    def _forward(self) -> None:
        """Results to the queues of their task groups, heartbeats to memory, for ever."""
        while not self._closing.is_set():
            try:
                with self.broker.channel() as channel:
                    while not self._closing.is_set():
                        if not self._forward_one(channel):
                            channel.connection.process_data_events(0.05)
            except (pika.exceptions.AMQPError, OSError):
                self._closing.wait(0.3)

    def _forward_one(self, channel: Any) -> bool:
        moved = False
        for queue in (RESULTS, HEARTBEATS):
            method, _, content = channel.basic_get(queue)
            if method is None:
                continue
            moved = True
            message = unpack(content)
            if isinstance(message, EPStatusReport):
                self._report(channel, str(message.endpoint_id), message.global_state)
            elif isinstance(message, Result) and str(message.task_id) in self.groups:
                self._deliver(channel, message, content)
            channel.basic_ack(method.delivery_tag)
        return moved

    def _report(self, channel: Any, endpoint: str, state: Json) -> None:
        gone = state.get("heartbeat_period") == 0
        self.endpoints[endpoint] = 0.0 if gone else time.monotonic()
        if "error" not in state:
            return
        # the endpoint's own source says that this reaches the user and finishes what is outstanding
        details = ResultErrorDetails(code="ENDPOINT", user_message=state["error"])
        for task in [task for task, other in self.waiting.items() if other == endpoint]:
            result = Result(task_id=task, data=state["error"], error_details=details)
            self._deliver(channel, result, pack(result))

    def _deliver(self, channel: Any, result: Result, content: bytes) -> None:
        self.waiting.pop(str(result.task_id), None)
        if self.forge is not None:
            content = pack(self.forge(result))
        queue = f"{RESULTS}.{self.groups[str(result.task_id)]}"
        properties = pika.BasicProperties(delivery_mode=2, timestamp=int(time.time()))
        channel.basic_publish("compute", queue, content, properties)
        self.delivered += 1

    def _declare(self, channel: Any, name: str) -> None:
        channel.queue_declare(name, durable=True)
        channel.queue_bind(name, "compute", name)

    def _consumed(self, queue: str) -> Json:
        return {"connection_url": self.broker.url, "queue": queue}

    def _published(self, queue: str) -> Json:
        how = {
            "exchange": "compute",
            "routing_key": queue,
            "mandatory": True,
            "properties": {"delivery_mode": 2, "content_type": "application/octet-stream"},
        }
        return self._consumed(queue) | {"exchange": "compute", "queue_publish_kwargs": how}


def _merged(tokens: list[dict[str, str]]) -> list[dict[str, str]]:
    """One token for each resource server, with all its scopes."""
    scopes: dict[str, list[str]] = {}
    for token in tokens:
        scopes.setdefault(token["resource_server"], []).append(token["scope"])
    return [{"resource_server": s, "scope": " ".join(found)} for s, found in scopes.items()]


class _Handler(BaseHTTPRequestHandler):
    """HTTP to the methods of the service."""

    service: Service
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_GET

    def log_message(self, *_: object) -> None:
        """Not on a test's terminal."""

    def _answer(self) -> None:
        # a client that takes this server for its proxy sends the whole URL
        path = urlsplit(self.path).path
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            status, content = 200, self._route(self.command, path, body)
        except Refused as refused:
            status = refused.status
            content = {"code": "REFUSED", "reason": refused.reason, "http_status_code": status}
        except (pika.exceptions.AMQPError, OSError) as error:
            status, content = 503, {"code": "UNAVAILABLE", "reason": repr(error)}
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _route(self, verb: str, path: str, body: bytes) -> Json:
        match (verb, *path.strip("/").split("/")):
            case "POST", "v2", "oauth2", "token":
                return self.service.token(parse_qs(body.decode()))
            case "GET", "v2", "oauth2", "userinfo":
                return self.service.user()
            case "GET", "v2", "version":
                return self.service.version()
            case "POST", "v3", "functions":
                return self.service.register_function(json.loads(body))
            case "POST", "v3", "endpoints":
                return self.service.register_endpoint(None)
            case "PUT", "v3", "endpoints", endpoint:
                return self.service.register_endpoint(endpoint)
            case "GET", "v2", "endpoints", endpoint, "status":
                return self.service.status(endpoint)
            case "POST", "v3", "endpoints", endpoint, "submit":
                return self.service.submit(endpoint, json.loads(body), len(body))
            case "GET", "v2", "get_amqp_result_connection_url":
                return self.service.result_queue()
        raise Refused(404, f"{verb} {path} is no part of the stand-in")
