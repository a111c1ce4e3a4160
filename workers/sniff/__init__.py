"""What a file is by its bytes: its type, its size in pixels, and whether it ends where its format ends."""

from workers.sniff.ending import Ending, ending_of
from workers.sniff.kinds import UNKNOWN, FileType, Kind
from workers.sniff.pixels import dimensions
from workers.sniff.signatures import HEAD, sniff

__all__ = ["HEAD", "UNKNOWN", "Ending", "FileType", "Kind", "dimensions", "ending_of", "sniff"]
