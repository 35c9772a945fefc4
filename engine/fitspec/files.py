"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path


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
        if replaceable or accept is not None:
            _replace(path, content, accept)
        else:
            path.write_bytes(content)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def _replace(path: Path, content: bytes, accept: Callable[[Path], None] | None) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=path.suffix)
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
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
