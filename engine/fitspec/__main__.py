"""``fitspec``, and ``python -m fitspec``: nothing is imported before Ctrl-C is looked after."""

import gc
import os
import signal
import sys

INTERRUPTED = 2
"""pytest's exit code; the module that has them all is not imported yet."""


def main() -> None:
    """Entry point of the command; never returns."""
    # parsed JSON is many containers and no cycles: looking for them takes a third of the time
    gc.set_threshold(200_000, 20, 20)
    try:
        from fitspec.cli import run_command_line

        code = run_command_line(sys.argv[1:])
    except KeyboardInterrupt:
        code = INTERRUPTED
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the exit code is decided
    if code == INTERRUPTED:  # all is written; do not wait for what an interrupted pool has left
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
