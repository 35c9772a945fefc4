"""``fitspec``, and ``python -m fitspec``: nothing is imported before Ctrl-C is looked after."""

import gc
import signal
import sys


def main() -> None:
    """Entry point of the command; never returns."""
    # parsed JSON is many containers and no cycles: looking for them takes a third of the time
    gc.set_threshold(200_000, 20, 20)
    try:
        from fitspec.cli import run_command_line

        code = run_command_line(sys.argv[1:])
    except KeyboardInterrupt:
        code = 2
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the exit code is decided
    sys.exit(code)


if __name__ == "__main__":
    main()
