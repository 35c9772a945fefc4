"""Up to four Slurm jobs of one whole node each."""

from parsl import Config
from parsl.addresses import address_by_hostname
from parsl.executors import HighThroughputExecutor
from parsl.launchers import SrunLauncher
from parsl.providers import SlurmProvider

config = Config(
    executors=[
        HighThroughputExecutor(
            address=address_by_hostname(),  # of this login node, as compute nodes reach it
            max_workers_per_node=32,
            heartbeat_period=10,
            heartbeat_threshold=60,
            provider=SlurmProvider(
                partition="short",
                account="myproject",
                nodes_per_block=1,
                cores_per_node=32,
                init_blocks=1,
                max_blocks=4,
                walltime="02:00:00",
                launcher=SrunLauncher(overrides="--cpus-per-task=32"),  # not from sbatch
                cmd_timeout=60,
                worker_init=(
                    "source ~/fitspec/bin/activate; export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1"
                ),
            ),
        )
    ],
    strategy_period=5,
)
