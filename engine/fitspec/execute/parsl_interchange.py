"""Parsl's interchange as a program that ends with its submitter, and leaves the terminal alone.

It is run by its path, so that it starts without the rest of fitspec.
"""

from __future__ import annotations

import os
import runpy
import sys
import threading
import time


def main() -> None:
    """Run the interchange as a child of the process whose id is the only argument."""
    threading.Thread(target=_exit_without, args=(int(sys.argv[1]),), daemon=True).start()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # it has a log file
        os.dup2(nowhere, stream)
    runpy.run_module("parsl.executors.high_throughput.interchange", run_name="__main__")


def _exit_without(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":
    main()
