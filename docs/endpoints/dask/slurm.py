"""A Dask scheduler on this node, with workers in up to four Slurm jobs; stop it with Ctrl-C."""

import signal

from dask_jobqueue import SLURMCluster
from distributed.security import Security

if __name__ == "__main__":
    cluster = SLURMCluster(
        queue="short",
        account="hep",
        cores=32,
        processes=32,  # one thread each
        memory="64GB",
        walltime="02:00:00",
        interface="ib0",  # a network that compute nodes can reach
        protocol="tls://",
        security=Security(),  # of Dask's own configuration
        scheduler_options={"port": 8786, "dashboard_address": "127.0.0.1:0"},
        job_script_prologue=[
            "export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1",
            "export MALLOC_TRIM_THRESHOLD_=134217728",  # Dask's own costs a third of the time
        ],
    )
    cluster.adapt(minimum_jobs=0, maximum_jobs=4)
    print(cluster.scheduler_address, flush=True)
    signal.pause()
