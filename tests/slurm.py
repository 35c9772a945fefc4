"""A Slurm cluster of one node on loopback: Debian's daemons, with everything in one folder.

Neither the machine's own Slurm nor its munge is touched, and no accounting is kept.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

CONFIGURATION = """\
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_interval=1
ReturnToService=2
KillWait=1
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
PlugStackConfig={folder}/plugstack.conf
NodeName=loopback NodeHostname=localhost NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=fits Nodes=loopback Default=YES MaxTime=INFINITE State=UP
"""

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel")
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"


def is_installed() -> bool:
    return all(shutil.which(program, path=PATH) for program in PROGRAMS)


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Path]:
    """Start it, and stop it; the configuration's path is what SLURM_CONF should say.

    Args:
        folder: an empty one with a short path, which only this user and root may write.
    """
    folder.chmod(0o755)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "plugstack.conf").touch()
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o600)
    configuration = folder / "slurm.conf"
    configuration.write_text(
        CONFIGURATION.format(
            folder=folder, host=socket.gethostname(), user=getpass.getuser(), ports=_free_ports(2)
        )
    )
    munged = ["munged", "-F", f"--key-file={key}"] + [
        f"--{name}={folder}/munge.{end}"
        for name, end in (("socket", "socket"), ("pid-file", "pid"), ("log-file", "log"),
                          ("seed-file", "seed"))
    ]  # fmt: skip
    with contextlib.ExitStack() as stack:
        stack.enter_context(_daemon(munged, configuration))
        _wait_for((folder / "munge.socket").exists, folder)
        stack.enter_context(_daemon(["slurmctld", "-D"], configuration))
        stack.enter_context(_daemon(["slurmd", "-D", "-N", "loopback"], configuration))
        _wait_for(lambda: "idle" in ask("sinfo", "-h", "-o", "%T", at=configuration), folder)
        yield configuration


def ask(*command: str, at: Path) -> str:
    """What one of Slurm's commands says."""
    environment = _environment(at)
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=20)
    return done.stdout


@contextlib.contextmanager
def _daemon(command: list[str], configuration: Path) -> Iterator[None]:
    with (configuration.parent / f"{command[0]}.out").open("w") as out:
        process = subprocess.Popen(command, env=_environment(configuration), stdout=out, stderr=out)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _environment(configuration: Path) -> dict[str, str]:
    return {**os.environ, "PATH": PATH, "SLURM_CONF": str(configuration)}


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _wait_for(condition, folder: Path) -> None:
    end = time.monotonic() + 20
    while not condition():
        if time.monotonic() > end:
            logs = [
                path.read_text() for path in folder.iterdir() if path.suffix in (".log", ".out")
            ]
            raise RuntimeError("Slurm does not start:\n" + "\n".join(logs))
        time.sleep(0.1)
