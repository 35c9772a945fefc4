"""The unmodified globus-compute-endpoint, told to talk to the stand-in."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

from loopback.processes import command_of, descendants, kill, running, until, with_variable
from loopback.service import Service

CONFIG = """\
display_name: loopback
local_compute_services: true
heartbeat_period: 5
email: user@example.org
"""

TEMPLATE = """\
heartbeat_period: 5
engine:
  type: GlobusComputeEngine
  label: loopback
  address: 127.0.0.1
  max_workers_per_node: {workers}
  heartbeat_period: 2
  heartbeat_threshold: 10
  job_status_kwargs:
    strategy: none
    strategy_period: 0.5
  provider:
    type: LocalProvider
    init_blocks: 1
    min_blocks: 1
    max_blocks: 1
"""

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "globus-compute-endpoint"


def missing() -> str | None:
    """Why there can be no endpoint, or None."""
    if shutil.which(PROGRAM, path=_programs()) is None:
        return f"no {PROGRAM}: pip install {PROGRAM}"
    return None


def _programs() -> str:
    return f"{Path(sys.executable).parent}:{os.environ['PATH']}"


@dataclass
class Daemon:
    """One endpoint; it keeps its UUID over restarts."""

    service: Service
    folder: Path
    workers: int = 2
    id: str | None = None
    _running: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _strays: list[int] = field(default_factory=list)
    pid: int = 0

    def start(self) -> None:
        """Returns when the service knows the endpoint."""
        self._configure()
        # the daemon knows the service as localhost:5000, which may be taken: it goes by a proxy
        environment = self.environment() | {"http_proxy": self.service.url}
        program = shutil.which(PROGRAM, path=_programs())
        log = self.folder / "daemon.log"
        before = self.service.registrations
        process = self._running.enter_context(
            running([str(program), "start", "loopback"], environment, log)
        )
        self.pid = process.pid
        until(lambda: self.service.registrations > before, f"{PROGRAM}, see {log}")
        until(self._registered, f"{PROGRAM}, see {log}")
        self.id = self._registered()

    def kill(self) -> None:
        """The daemon, the user's endpoint process and its workers, by SIGKILL."""
        self._running.close()
        kill(self._strays)
        self._strays.clear()
        while left := self.pids():
            kill(left)
        for pid_file in self.folder.glob("*/daemon.pid"):
            pid_file.unlink()

    def pids(self) -> list[int]:
        """All its processes: workers are nobody's children."""
        return with_variable("GLOBUS_COMPUTE_USER_DIR", str(self.folder))

    def kill_user_process(self) -> None:
        """The process that takes tasks and sends results, by SIGKILL; its workers are orphans."""
        [pid] = self.user_process()
        self._strays += descendants(pid)
        os.kill(pid, signal.SIGKILL)

    def user_process(self) -> list[int]:
        """Process id of the user's endpoint process; empty while there is none."""
        return [pid for pid in descendants(self.pid) if "uep." in command_of(pid)]

    @property
    def template(self) -> Path:
        """Read whenever a user's endpoint process starts."""
        return self.folder / "loopback" / "user_config_template.yaml.j2"

    def kills(self) -> int:
        """How many of its children the daemon has seen killed."""
        log = self.folder / "loopback" / "endpoint.log"
        return log.read_text().count("terminated by signal: 9")

    def environment(self) -> dict[str, str]:
        """What daemon, user endpoint and workers get; nothing of the tests' own."""
        return {
            "PATH": _programs(),
            "HOME": str(self.folder),
            "PYTHONPATH": f"{ROOT / 'engine'}:{ROOT / 'tests'}",
            "OPENBLAS_NUM_THREADS": "1",
            "GLOBUS_COMPUTE_USER_DIR": str(self.folder),
            "GLOBUS_SDK_SERVICE_URL_AUTH": f"{self.service.url}/",
            "GLOBUS_COMPUTE_CLIENT_ID": "99999999-8888-4777-8666-555555555555",
            "GLOBUS_COMPUTE_CLIENT_SECRET": "secret",
        }

    def _registered(self) -> str | None:
        """Its UUID, once it has written all of it down: it does so at every start."""
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
            content = json.loads((self.folder / "loopback" / "endpoint.json").read_text())
            return str(content["endpoint_id"])
        return None

    def _configure(self) -> None:
        folder = self.folder / "loopback"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.yaml").write_text(CONFIG)
        self.template.write_text(TEMPLATE.format(workers=self.workers))
        passed_on = "".join(f"{k}: {json.dumps(v)}\n" for k, v in self.environment().items())
        (folder / "user_environment.yaml").write_text(passed_on)
