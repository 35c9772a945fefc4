"""Up to ten pods of two workers; fitspec itself runs in the cluster, on the same volume."""

from parsl import Config
from parsl.addresses import address_by_route
from parsl.executors import HighThroughputExecutor
from parsl.providers import KubernetesProvider

config = Config(
    executors=[
        HighThroughputExecutor(
            address=address_by_route(),  # of this pod, as others reach it
            max_workers_per_node=2,
            cores_per_worker=1,
            heartbeat_period=10,
            heartbeat_threshold=60,
            provider=KubernetesProvider(
                image="registry.example.org/fitspec:0.1.0",
                namespace="fits",
                nodes_per_block=1,
                init_blocks=1,
                max_blocks=10,
                init_cpu=2,
                max_cpu=2,
                init_mem="2Gi",
                max_mem="4Gi",
                worker_init="export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1",
                persistent_volumes=[("fits-claim", "/fits")],
            ),
        )
    ],
    run_dir="/fits/parsl",  # keys and logs: pods must see it
    strategy_period=5,
)
