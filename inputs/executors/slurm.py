"""Parsl through Slurm: jobs of two hours, each with a node's worth of workers. Copy it, and change what you need.

A job that comes to its end stops its runs at a chunk, and the next job goes on with them. `drain_period` keeps a job
from beginning runs that it could not bring far: choose it shorter than the walltime by what a run needs to be worth its
start. `MDSUITE_GPUS` holds the GPUs that Slurm gave, for Parsl numbers them from 0 in every job.
"""

from parsl import Config
from parsl.executors import HighThroughputExecutor
from parsl.providers import SlurmProvider

config = Config(
    executors=[
        HighThroughputExecutor(
            label="slurm",
            max_workers_per_node=8,
            drain_period=6600,  # s, of a job
            provider=SlurmProvider(
                partition="main",
                walltime="02:00:00",
                nodes_per_block=1,
                cores_per_node=8,
                init_blocks=1,
                min_blocks=0,
                max_blocks=10,
                scheduler_options="#SBATCH --gres=gpu:0",
                worker_init="export MDSUITE_GPUS=$CUDA_VISIBLE_DEVICES; source my-environment/bin/activate",
            ),
        )
    ],
    max_idletime=60.0,
)
