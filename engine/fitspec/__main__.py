"""``fitspec``, and ``python -m fitspec``: signals are looked after, then libraries imported."""

import gc
import signal
import sys

from fitspec.signals import interrupt


def main() -> None:
    """Entry point of the command; never returns."""
    # parsed JSON is many containers and no cycles: looking for them takes a third of the time
    gc.set_threshold(200_000, 20, 20)
    signal.signal(signal.SIGTERM, interrupt)  # batch systems end a job with it
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not in the background
        signal.signal(signal.SIGINT, interrupt)
    try:
        from fitspec.cli import run_command_line

        code = run_command_line(sys.argv[1:])
    except KeyboardInterrupt:
        code = 2
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the exit code is decided
    # `python -m` ends with a SIGINT of its own, whatever the exit code, if the last string that
    # was executed was interrupted; as libraries do when they are imported
    exec("")  # noqa: S102
    sys.exit(code)


if __name__ == "__main__":
    main()
