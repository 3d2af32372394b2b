"""Files that come from anywhere: opened only where they are regular, and within a folder where that is asked."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO


def located(path: Path, folder: Path, *, anywhere: bool = False) -> Path:
    """Find a file that a scenario names.

    Parameters
    ----------
    path
        The file as the scenario names it, relative to `folder`.
    folder
        Where the scenario is; the file must be in it or below.
    anywhere
        Whether the file may be elsewhere too.

    Raises
    ------
    ValueError
        It is not there, or elsewhere; the text says why in one clause.
    """
    if not anywhere and (path.is_absolute() or path.drive or ".." in path.parts):
        raise ValueError("must be a path relative to the scenario's folder, without ..")
    try:
        found, home = (folder / path).resolve(strict=True), folder.resolve(strict=True)
    except (OSError, RuntimeError, ValueError):  # absent, a loop of links, a null character
        raise ValueError("must name a file that exists") from None
    if not anywhere and not found.is_relative_to(home):
        raise ValueError("must not lead out of the scenario's folder")
    return found


def open_regular(path: Path) -> IO[bytes]:
    """Open a regular file; a device or a pipe is never opened.

    Raises
    ------
    OSError
        It cannot be opened.
    ValueError
        It is not a regular file, or was replaced meanwhile.
    """
    before = path.stat(follow_symlinks=False)
    if not stat.S_ISREG(before.st_mode):
        raise ValueError("must be a regular file")
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    file = open(os.open(path, flags), "rb")  # noqa: PTH123, SIM115 -- a descriptor, which the caller closes
    after = os.fstat(file.fileno())
    if any(getattr(before, part) != getattr(after, part) for part in ("st_dev", "st_ino", "st_mode")):
        file.close()
        raise ValueError("must not be replaced while it is read")
    return file
