"""A private Slurm of one node with two fake GPUs, without accounting and without other users."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")
CONFIGURATION = """
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={next_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
CredType=cred/none
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
MpiDefault=none
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
SchedulerParameters=sched_min_interval=0,sched_interval=2,bf_interval=2,batch_sched_delay=0,default_queue_depth=200
SlurmdTimeout=60
MinJobAge=3600
KillWait=15
MaxArraySize={largest_array}
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobCompType=jobcomp/none
AccountingStorageType=accounting_storage/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 Boards=1 SocketsPerBoard=1 CoresPerSocket=2 ThreadsPerCore=1 RealMemory=4000 Gres=gpu:fake:2 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE DefaultTime=10 PriorityTier=10
PartitionName=hi   Nodes={host} Default=NO  MaxTime=INFINITE DefaultTime=10 PriorityTier=100 PreemptMode=OFF
"""  # noqa: E501  a node is one line
DEVICES = "NodeName={host} Name=gpu Type=fake File=/dev/null\nNodeName={host} Name=gpu Type=fake File=/dev/zero\n"


def missing() -> str:
    """What this machine lacks, or "" if it has everything."""
    return ", ".join(each for each in PROGRAMS if shutil.which(each) is None)


LACKS = missing()
real = pytest.mark.skipif(
    bool(LACKS), reason=f"not run: this machine has no {LACKS} (Debian: slurmctld slurmd slurm-client)"
)


@contextmanager
def private(folder: Path, largest_array: int = 1001) -> Iterator[dict[str, str]]:
    """Running daemons; yields what must be in the environment of those who use them."""
    host = socket.gethostname().split(".")[0]
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    port = _free_ports()
    configuration = CONFIGURATION.format(
        host=host,
        port=port,
        next_port=port + 1,
        user=getpass.getuser(),
        folder=folder,
        largest_array=largest_array,
    )
    (folder / "slurm.conf").write_text(configuration)
    (folder / "gres.conf").write_text(DEVICES.format(host=host))
    environment = {"SLURM_CONF": str(folder / "slurm.conf")}
    daemons = []
    try:
        daemons.append(_started("slurmctld", environment, folder))
        _until(lambda: " UP" in said("scontrol", "ping", environment=environment), folder)
        daemons.append(_started("slurmd", environment, folder))
        _until(lambda: "idle" in said("sinfo", "-h", "-o", "%T", environment=environment), folder)
        yield environment
    finally:
        subprocess.run(["scancel", "--user", getpass.getuser()], env={**os.environ, **environment}, check=False)
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait(timeout=30)


def said(*command: str, environment: dict[str, str]) -> str:
    """What a command answers, whether it succeeds or not."""
    ended = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )
    return ended.stdout


def _started(program: str, environment: dict[str, str], folder: Path) -> subprocess.Popen[bytes]:
    with (folder / f"{program}.out").open("wb") as output:
        return subprocess.Popen(
            [program, "-D"], env={**os.environ, **environment}, stdout=output, stderr=subprocess.STDOUT
        )


def _until(happened: object, folder: Path) -> None:
    end = time.monotonic() + 60.0
    while not happened():  # type: ignore[operator]
        if time.monotonic() > end:
            logs = "\n".join(file.read_text(errors="replace")[-2000:] for file in folder.glob("*.log"))
            raise TimeoutError(f"the private Slurm did not come up:\n{logs}")
        time.sleep(0.1)


def _free_ports() -> int:
    """The first of two that nobody listens at."""
    with socket.socket() as first:
        first.bind(("127.0.0.1", 0))
        return int(first.getsockname()[1])
