"""Up to 50 HTCondor jobs of eight cores each."""

from parsl import Config
from parsl.addresses import address_by_hostname
from parsl.executors import HighThroughputExecutor
from parsl.providers import CondorProvider

config = Config(
    executors=[
        HighThroughputExecutor(
            address=address_by_hostname(),
            max_workers_per_node=8,
            heartbeat_period=10,
            heartbeat_threshold=60,
            provider=CondorProvider(
                nodes_per_block=1,
                cores_per_slot=8,
                mem_per_slot=8,
                init_blocks=1,
                max_blocks=50,
                walltime="02:00:00",
                worker_init=(
                    "source /shared/me/fitspec/bin/activate; "
                    "export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1"
                ),
            ),
        )
    ],
    run_dir="/shared/me/parsl",  # keys and logs: workers must see it
    strategy_period=5,
)
