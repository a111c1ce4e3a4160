"""Who runs this process, as the system knows him."""

from __future__ import annotations

import os
import pwd


def name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        # A container may run as a number that nobody has named.
        return f"uid {os.getuid()}"
