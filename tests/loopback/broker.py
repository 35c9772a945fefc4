"""A RabbitMQ broker of the tests' own, on loopback, in a temporary folder."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pika
from loopback.processes import free_port, is_open, running, until

PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Debian's; /usr/sbin/rabbitmq-server insists on being root and then becomes another user."""


def missing() -> str | None:
    """Why there can be no broker, or None."""
    if not PROGRAM.is_file() or shutil.which("epmd") is None:
        return "no RabbitMQ: apt-get install rabbitmq-server"
    return None


@dataclass
class Broker:
    """Starts and stops one broker; what its durable queues hold outlives a restart."""

    folder: Path
    port: int = field(default_factory=free_port)
    names_port: int = field(default_factory=free_port)
    distribution_port: int = field(default_factory=free_port)
    _running: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/%2F"

    def start(self) -> None:
        """Returns before it answers: see :meth:`wait`."""
        environment = self._environment()
        # Erlang would start its name server as a daemon that outlives the broker
        names = ["epmd", "-port", str(self.names_port), "-address", "127.0.0.1"]
        log = self.folder / "broker.log"
        self._running.enter_context(running(names, environment, log))
        until(lambda: is_open(self.names_port), "epmd")
        self._running.enter_context(running([str(PROGRAM)], environment, log))

    def wait(self) -> None:
        until(self.answers, "RabbitMQ")

    def stop(self) -> None:
        """At once: what is on disk is what there is."""
        self._running.close()

    def answers(self) -> bool:
        if not is_open(self.port):
            return False
        try:
            with self.channel():
                return True
        except (pika.exceptions.AMQPError, OSError):
            return False

    @contextlib.contextmanager
    def channel(self) -> Iterator[pika.adapters.blocking_connection.BlockingChannel]:
        connection = pika.BlockingConnection(pika.URLParameters(self.url))
        try:
            yield connection.channel()
        finally:
            connection.close()

    def _environment(self) -> dict[str, str]:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, text in {"plugins": "[].", "rabbitmq.conf": "", "env.conf": ""}.items():
            (self.folder / name).write_text(text)
        ours = {
            "HOME": self.folder,  # where Erlang keeps its cookie
            "ERL_EPMD_PORT": self.names_port,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"fitspec{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": self.port,
            "RABBITMQ_DIST_PORT": self.distribution_port,
            "RABBITMQ_MNESIA_BASE": self.folder / "data",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_LOG_BASE": self.folder,
            "RABBITMQ_ENABLED_PLUGINS_FILE": self.folder / "plugins",
            "RABBITMQ_CONFIG_FILE": self.folder / "rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE": self.folder / "env.conf",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none -kernel"
            " inet_dist_use_interface {127,0,0,1}",
        }
        return {"PATH": os.environ["PATH"]} | {name: str(value) for name, value in ours.items()}
