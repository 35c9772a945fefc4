"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

NOT_REPLACED = {errno.EACCES, errno.EBUSY, errno.EPERM, errno.EXDEV}
"""Of somebody else's file in a sticky folder, and of a mounted one: its content may be ours."""


def write_file(path: Path, content: bytes, accept: Callable[[Path], None] | None = None) -> None:
    """Give a file new content in one step: nobody sees half of it, and a full disk costs nothing.

    A link, what is no regular file, and what may be changed but not replaced, is written as it is.

    Args:
        path: the file, which need not exist; its folder must.
        content: all of it.
        accept: looks at the new file before it takes the place of the old one, which it does
            then in any case, and raises.

    Raises:
        OSError: it cannot be written; the error's file name is the path.
    """
    special = path.is_symlink() or (path.exists() and not path.is_file())
    replaceable = not special and os.access(path.parent, os.W_OK)
    try:
        if path.is_file() and not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))  # replacing it would do
        if replaceable or accept is not None:
            _replace(path, content, accept)
        else:
            _write(path, content)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def _write(path: Path, content: bytes) -> None:
    """As it is; ``/dev/stdout`` goes on where the output is, and does not begin its file anew."""
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        if _is_open_as(path, number):
            stream.flush()
            with open(number, "wb", closefd=False) as file:
                file.write(content)
            return
    path.write_bytes(content)


def _is_open_as(path: Path, number: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(number))
    except OSError:  # it is not there, or closed
        return False


def _replace(path: Path, content: bytes, accept: Callable[[Path], None] | None) -> None:
    # who is killed here leaves it behind: nobody shall take it for such a file
    suffix = ".new" if accept is None else path.suffix
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=suffix)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        if accept is not None:
            accept(temporary)
        if path.exists():
            shutil.copymode(path, temporary)
        else:
            temporary.chmod(0o666 & ~_umask())
        try:
            temporary.replace(path)
        except OSError as error:
            if error.errno not in NOT_REPLACED or not path.is_file():
                raise
            path.write_bytes(content)
            temporary.unlink()
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
