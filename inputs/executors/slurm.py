"""Parsl through Slurm: jobs with several workers each, of which every one has a run at a time.

`mdsuite run --executor 'slurm?partition=main&jobs=10'` sets what is asked for here; copy this file, and change what you
need beyond that. A job that comes to its end stops its runs at a chunk, and the next job goes on with them;
`drain_period` keeps a job from beginning runs that it could not bring far. `MDSUITE_GPUS` holds the GPUs that Slurm
gave, for Parsl numbers them from 0 in every job.
"""

import sys
from pathlib import Path

from parsl import Config
from parsl.executors import HighThroughputExecutor
from parsl.providers import SlurmProvider


def configured(
    partition: str = "",
    account: str = "",
    qos: str = "",
    walltime: str = "02:00:00",
    workers: int = 8,
    cores: int = 8,
    gpus: int = 0,
    jobs: int = 10,
    address: str = "",
    environment: str = "",
) -> Config:
    """Jobs of one node.

    partition, account, qos : of Slurm, where the cluster wants them
    walltime : of a job, hours:minutes:seconds
    workers : in a job, each with a run at a time
    cores, gpus : of a job
    jobs : at a time, at most
    address : under which nodes reach this one, where Parsl does not find it
    environment : a script that nodes source before they begin; by default they use the Python that this one uses
    """
    hours, minutes, seconds = (int(part) for part in walltime.split(":"))
    length = 3600 * hours + 60 * minutes + seconds
    python = f"source {environment}" if environment else f"export PATH={Path(sys.executable).parent}:$PATH"
    return Config(
        executors=[
            HighThroughputExecutor(
                label="slurm",
                address=address or None,
                max_workers_per_node=workers,
                drain_period=length - min(600, length // 2),
                provider=SlurmProvider(
                    partition=partition or None,
                    account=account or None,
                    qos=qos or None,
                    walltime=walltime,
                    nodes_per_block=1,
                    cores_per_node=cores,
                    init_blocks=1,
                    min_blocks=0,
                    max_blocks=jobs,
                    scheduler_options=f"#SBATCH --gres=gpu:{gpus}" if gpus else "",
                    worker_init=f"export MDSUITE_GPUS=$CUDA_VISIBLE_DEVICES; {python}",
                ),
            )
        ],
        max_idletime=60.0,
    )
