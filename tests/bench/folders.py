"""Folders to write into that leave the disk as fast as they found it.

For minutes ext4 takes no inode that was freed, and looks at each of them whenever a file is made: whoever is
measured after others have deleted pays for their files, and most of all who makes two for an output.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def emptied_folder() -> Iterator[str]:
    """Its files are empty after the block, and gone only when the process ends."""
    folder = tempfile.mkdtemp(prefix="bench-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        yield folder
    finally:
        for above, _, names in os.walk(folder):
            for name in names:
                os.truncate(f"{above}/{name}", 0)
        os.sync()
