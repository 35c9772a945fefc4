"""The whole chain on loopback: broker, stand-in for the web service, the real endpoint daemon."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from loopback import broker, daemon
from loopback.broker import Broker
from loopback.daemon import Daemon
from loopback.service import Service


@dataclass
class Chain:
    broker: Broker
    service: Service
    daemon: Daemon


def missing() -> str | None:
    """Why there can be no chain, or None."""
    return broker.missing() or daemon.missing()


@contextlib.contextmanager
def running_chain(folder: Path, workers: int = 2) -> Iterator[Chain]:
    """All of it, with so many worker processes; nothing is left of it after the block."""
    found = Broker(folder / "broker")
    try:
        found.start()
        found.wait()
        service = Service(found)
        service.start()
        try:
            endpoint = Daemon(service, folder / "endpoint", workers=workers)
            try:
                endpoint.start()
                service.start_user_process(endpoint.id)  # takes 10 s, beside what else there is
                yield Chain(found, service, endpoint)
            finally:
                endpoint.kill()
        finally:
            service.stop()
    finally:
        found.stop()


def log_in(chain: Chain, home: Path, patch: pytest.MonkeyPatch) -> None:
    """Be a user with client credentials, whose SDK takes the stand-in for the real service."""
    patch.setenv("GLOBUS_COMPUTE_USER_DIR", str(home))
    patch.setenv("GLOBUS_SDK_SERVICE_URL_AUTH", f"{chain.service.url}/")
    patch.setenv("GLOBUS_COMPUTE_CLIENT_ID", "99999999-8888-4777-8666-555555555555")
    patch.setenv("GLOBUS_COMPUTE_CLIENT_SECRET", "secret")
    patch.setenv("no_proxy", "127.0.0.1")
    url = chain.service.url
    patch.setattr("globus_compute_sdk.sdk.client.get_web_service_url", lambda _=None: url)
