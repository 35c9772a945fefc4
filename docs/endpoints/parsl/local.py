"""Two blocks of two workers on this machine."""

import sys
from pathlib import Path

from parsl import Config
from parsl.executors import HighThroughputExecutor
from parsl.providers import LocalProvider

BIN = Path(sys.executable).parent

config = Config(
    executors=[
        HighThroughputExecutor(
            address="127.0.0.1",
            max_workers_per_node=2,
            heartbeat_period=2,
            heartbeat_threshold=20,
            provider=LocalProvider(
                init_blocks=1,
                max_blocks=2,
                worker_init=f"export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PATH={BIN}:$PATH",
            ),
        )
    ],
    strategy_period=1,
)
