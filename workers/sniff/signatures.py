"""A file's type by its first bytes; names, headers and extensions are a stranger's claims."""

from __future__ import annotations

import codecs
import json
import re

from workers.sniff import kinds
from workers.sniff.kinds import UNKNOWN, FileType

HEAD = 65_536
"""Bytes worth reading before deciding; fewer is fine when the file is shorter."""

_PREFIXES = (
    (b"\xff\xd8\xff", kinds.JPEG),
    (b"\x89PNG\r\n\x1a\n", kinds.PNG),
    (b"GIF87a", kinds.GIF),
    (b"GIF89a", kinds.GIF),
    (b"fLaC", kinds.FLAC),
    (b"OggS\x00", kinds.OGG),
    (b"glTF\x02\x00\x00\x00", kinds.GLB),
    (b"PK\x03\x04", kinds.ZIP),
    (b"PK\x05\x06", kinds.ZIP),
)

_MP4_BRAND = re.compile(rb"iso.|mp4.|avc1|dash|M4[VAB].|MSNV|cmf.|f4v ")
_HEIF_BRAND = re.compile(rb"hei.|hev.|mif.|msf.|jpx |crx ")
_AVIF_BRANDS = (b"avif", b"avis")
_OLD_MOV_BOXES = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")

_ID3_TAG = re.compile(rb"ID3[\x02-\x04][^\xff][^\xff][\x00-\x7f]{4}", re.DOTALL)
_RATES = bytes(
    rate << 4 | frequency << 2 | rest for rate in range(1, 15) for frequency in range(3) for rest in range(4)
)
# An MPEG layer III frame; reserved versions, rates and frequencies are left out.
_MP3_FRAME = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][" + re.escape(_RATES) + rb"]")

_LONGEST_TENSOR_HEADER = 100_000_000
"""The format's own limit."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_MARKUP = re.compile(r"\A\s*(?:<[a-z!?/]|#!)|<!doctype|<html|<svg|<\?xml|<script", re.IGNORECASE)
# PostScript, Rich Text, and PDF, which readers find in the first kilobyte; any of them may be plain ASCII.
_DOCUMENT = re.compile(r"\A\s*(?:%!|\{\\rtf)|\A.{0,1024}?%PDF-", re.DOTALL)
_JSON_START = re.compile(r'\s*(?:\{\s*["}]|\[\s*(?:[\[\]{"0-9-]|true|false|null))')


def sniff(head: bytes) -> FileType:
    """Takes the first `HEAD` bytes, or all of a shorter file.

    Markup, scripts and documents that may hold some are UNKNOWN on purpose.
    """
    for prefix, type_ in _PREFIXES:
        if head.startswith(prefix):
            return type_
    return _riff(head) or _boxes(head) or _matroska(head) or _mp3(head) or _safetensors(head) or _text(head)


def _riff(head: bytes) -> FileType | None:
    if head[:4] != b"RIFF":
        return None
    return {b"WEBP": kinds.WEBP, b"WAVE": kinds.WAV}.get(head[8:12])


def _boxes(head: bytes) -> FileType | None:
    """ISO base media: the first box lists the brands that the file can be read as."""
    if head[4:8] in _OLD_MOV_BOXES and head[:1] == b"\x00":
        return kinds.MOV
    if head[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(head[:4]), 256)
    major, compatible = head[8:12], [head[at : at + 4] for at in range(16, end, 4)]
    if major in _AVIF_BRANDS:
        return kinds.AVIF
    if _HEIF_BRAND.fullmatch(major):
        return kinds.AVIF if any(brand in _AVIF_BRANDS for brand in compatible) else None
    if major == b"qt  ":
        return kinds.MOV
    return kinds.MP4 if any(map(_MP4_BRAND.fullmatch, [major, *compatible])) else None


def _matroska(head: bytes) -> FileType | None:
    webm = head.startswith(b"\x1a\x45\xdf\xa3") and b"\x42\x82\x84webm" in head[:64]
    return kinds.WEBM if webm else None


def _mp3(head: bytes) -> FileType | None:
    return kinds.MP3 if _ID3_TAG.match(head) or _MP3_FRAME.match(head) else None


def _safetensors(head: bytes) -> FileType | None:
    """Eight bytes of length, then that much JSON."""
    length = int.from_bytes(head[:8], "little")
    if length > _LONGEST_TENSOR_HEADER or not re.match(rb'\{\s*["}]', head[8:64]):
        return None
    complete = length <= len(head) - 8
    return None if complete and not _is_json(head[8 : 8 + length]) else kinds.SAFETENSORS


def _text(head: bytes) -> FileType:
    try:
        # Not final: the head may have cut a character in two.
        text = codecs.getincrementaldecoder("utf-8")().decode(head).removeprefix("\ufeff")
    except UnicodeDecodeError:
        return UNKNOWN
    if not text or _CONTROL.search(text):
        return UNKNOWN
    # A whole JSON document may hold markup in its strings; nothing displays it as markup.
    if _JSON_START.match(text) and (len(head) >= HEAD or _is_json(text)):
        return kinds.JSON
    return UNKNOWN if _MARKUP.search(text) or _DOCUMENT.search(text) else kinds.TEXT


def _is_json(document: str | bytes) -> bool:
    try:
        json.loads(document)
    except (ValueError, RecursionError):
        return False
    return True
