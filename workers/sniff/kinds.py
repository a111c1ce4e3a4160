"""The types of files we know, and the one for everything else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class FileType:
    media_type: str
    extension: str
    """Without a dot."""
    kind: Kind

    @property
    def allowed(self) -> bool:
        """False means: keep it, held, as `type_not_allowed`."""
        return self is not UNKNOWN and self != UNKNOWN


UNKNOWN = FileType("application/octet-stream", "bin", Kind.OTHER)

JPEG = FileType("image/jpeg", "jpg", Kind.IMAGE)
PNG = FileType("image/png", "png", Kind.IMAGE)
WEBP = FileType("image/webp", "webp", Kind.IMAGE)
GIF = FileType("image/gif", "gif", Kind.IMAGE)
AVIF = FileType("image/avif", "avif", Kind.IMAGE)
MP4 = FileType("video/mp4", "mp4", Kind.VIDEO)
WEBM = FileType("video/webm", "webm", Kind.VIDEO)
MOV = FileType("video/quicktime", "mov", Kind.VIDEO)
MP3 = FileType("audio/mpeg", "mp3", Kind.AUDIO)
WAV = FileType("audio/wav", "wav", Kind.AUDIO)
FLAC = FileType("audio/flac", "flac", Kind.AUDIO)
OGG = FileType("audio/ogg", "ogg", Kind.AUDIO)
GLB = FileType("model/gltf-binary", "glb", Kind.OTHER)
SAFETENSORS = FileType("application/vnd.safetensors", "safetensors", Kind.OTHER)
ZIP = FileType("application/zip", "zip", Kind.OTHER)
TEXT = FileType("text/plain", "txt", Kind.OTHER)
JSON = FileType("application/json", "json", Kind.OTHER)
