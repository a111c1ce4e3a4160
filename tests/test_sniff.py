"""Types, sizes and endings by bytes; small files are written out here, so that each case can be read."""

from __future__ import annotations

import json
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.sniff import HEAD, UNKNOWN, FileType, Kind, dimensions, ending_of, kinds, sniff


def box(name: bytes, body: bytes = b"") -> bytes:
    return (len(body) + 8).to_bytes(4) + name + body


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    return box(b"ftyp", major + bytes(4) + b"".join(compatible))


def riff(form: bytes, body: bytes) -> bytes:
    return b"RIFF" + (len(body) + 4).to_bytes(4, "little") + form + body


def png_chunk(name: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4) + name + data + zlib.crc32(name + data).to_bytes(4)


PNG = (
    b"\x89PNG\r\n\x1a\n"
    + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 640, 480, 8, 2, 0, 0, 0))
    + png_chunk(b"IEND", b"")
)
JPEG = (
    b"\xff\xd8\xff\xe0\x00\x04JF\xff\xff\xc4\x00\x03\x00\xff\x01\xff\xc2\x00\x0b\x08"
    + struct.pack(">HH", 768, 1024)
    + b"\x01\x01\x11\x00\xff\xda\x00\x02abc\xff\x00\xff\xd9"
)
GIF = b"GIF89a" + struct.pack("<HH", 320, 200) + b"\x00\x00\x00;"
WEBP_LOSSY = riff(b"WEBP", b"VP8 \x0a\x00\x00\x00abc\x9d\x01\x2a" + struct.pack("<HH", 1280 | 0x4000, 720))
WEBP_LOSSLESS = riff(b"WEBP", b"VP8L\x05\x00\x00\x00\x2f" + struct.pack("<I", 99 | 49 << 14) + bytes(8))
WEBP_EXTENDED = riff(b"WEBP", b"VP8X\x0a\x00\x00\x00\x10\x00\x00\x00\xff\x03\x00\xff\x02\x00")
WAV = riff(b"WAVE", b"fmt \x10\x00\x00\x00" + bytes(16))
AVIF = (
    ftyp(b"avif", b"mif1")
    + box(
        b"meta", box(b"ispe", struct.pack(">III", 0, 64, 64)) + box(b"ispe", struct.pack(">III", 0, 800, 600))
    )
    + box(b"mdat", bytes(50))
)
TRACKS = box(b"tkhd", bytes(84)) + box(b"tkhd", bytes(76) + struct.pack(">HHHH", 1920, 0, 1080, 0))
MP4 = ftyp(b"isom", b"mp41") + box(b"moov", TRACKS) + box(b"mdat", bytes(100))
MOV = ftyp(b"qt  ") + box(b"wide") + box(b"mdat", bytes(100)) + box(b"moov", TRACKS)
WEBM = b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm\x42\x87\x81\x04"
GLB = b"glTF" + struct.pack("<II", 2, 20) + bytes(8)
TENSOR_HEADER = b'{"__metadata__":{}}'
SAFETENSORS = struct.pack("<Q", len(TENSOR_HEADER)) + TENSOR_HEADER + b"\x00\xff"

SAMPLES = {
    "jpeg": (JPEG, kinds.JPEG),
    "png": (PNG, kinds.PNG),
    "gif": (GIF, kinds.GIF),
    "gif87": (b"GIF87a" + bytes(7), kinds.GIF),
    "webp lossy": (WEBP_LOSSY, kinds.WEBP),
    "webp lossless": (WEBP_LOSSLESS, kinds.WEBP),
    "webp extended": (WEBP_EXTENDED, kinds.WEBP),
    "avif": (AVIF, kinds.AVIF),
    "avif sequence": (ftyp(b"avis", b"msf1"), kinds.AVIF),
    "avif by its compatible brands": (ftyp(b"mif1", b"miaf", b"avif"), kinds.AVIF),
    "mp4": (MP4, kinds.MP4),
    "mp4 of another major brand": (ftyp(b"XAVC", b"mp42", b"iso2"), kinds.MP4),
    "mp4 for DASH": (ftyp(b"dash"), kinds.MP4),
    "mov": (MOV, kinds.MOV),
    "mov without ftyp": (box(b"wide") + box(b"mdat", b"x"), kinds.MOV),
    "webm": (WEBM, kinds.WEBM),
    "mp3 with a tag": (b"ID3\x04\x00\x00\x00\x00\x02\x01" + bytes(9), kinds.MP3),
    "mp3 frame": (b"\xff\xfb\x90\x64" + bytes(9), kinds.MP3),
    "mp3 of MPEG 2": (b"\xff\xf3\x40\xc4", kinds.MP3),
    "wav": (WAV, kinds.WAV),
    "flac": (b"fLaC\x00\x00\x00\x22", kinds.FLAC),
    "ogg": (b"OggS\x00\x02" + bytes(20), kinds.OGG),
    "glb": (GLB, kinds.GLB),
    "safetensors": (SAFETENSORS, kinds.SAFETENSORS),
    "safetensors with a long header": (struct.pack("<Q", 90_000) + b'{"a":' + b" " * HEAD, kinds.SAFETENSORS),
    "zip": (b"PK\x03\x04" + bytes(20), kinds.ZIP),
    "empty zip": (b"PK\x05\x06" + bytes(18), kinds.ZIP),
    "text": ("Grüße, 騎士\r\n\tend".encode(), kinds.TEXT),
    "text with a byte order mark": (b"\xef\xbb\xbfa", kinds.TEXT),
    "text cut within a character": ("騎士".encode()[:-1], kinds.TEXT),
    "text with less-than": (b"a < b, x <3 y", kinds.TEXT),
    "almost json": (b'{"a": 1', kinds.TEXT),
    "ini": (b"[section]\na=1\n", kinds.TEXT),
    "json object": (b' {"a": [1, 2]}\n', kinds.JSON),
    "json array": (b"[1]", kinds.JSON),
    "json that is empty": (b"{ }", kinds.JSON),
    "json longer than the head": (json.dumps({"a": "b" * HEAD}).encode()[:HEAD], kinds.JSON),
    "json with markup in it": (b'{"a": "<script>"}', kinds.JSON),
}


@pytest.mark.parametrize(("head", "expected"), SAMPLES.values(), ids=SAMPLES.keys())
def test_every_allowed_type_is_known_by_its_first_bytes(head: bytes, expected: FileType) -> None:
    assert sniff(head) == expected
    assert expected.allowed


def test_the_extensions_are_those_of_the_contract() -> None:
    known = {type_.extension for _, type_ in SAMPLES.values()} | {UNKNOWN.extension}
    assert " ".join(sorted(known)) == (
        "avif bin flac gif glb jpg json mov mp3 mp4 ogg png safetensors txt wav webm webp zip"
    )


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\x00",
        b"\xff\xfe<\x00h\x00",
        b"<!DOCTYPE html>",
        b"\xef\xbb\xbf \r\n<html>",
        b"<svg xmlns='http://www.w3.org/2000/svg'>",
        b"<?xml version='1.0'?>",
        b"<!-- a comment --><svg>",
        b"<p>",
        b"</a>",
        b"<ScRiPt>alert(1)</ScRiPt>",
        b"hello <script>alert(1)</script>",
        b"GIF\n<svg onload=alert(1)>",
        b'{"a": 1} <html>',
        b"#!/bin/sh\nrm -rf /",
        b"a\x00b",
        b"a\x1b[31m",
        b"a\x7f",
        "a\u0085".encode(),
        b"\xc3\x28",
        b"\xed\xa0\x80",
        b"\xe2\x82",
        b"%PDF-1.7\n\x80",
        b"MZ\x90\x00",
        b"\x7fELF",
        b"BM\x00\x00\x00\x00",
        b"II*\x00",
        b"RIFF\x04\x00\x00\x00AVI ",
        b"\x89PNG",
        b"\xff\xd8",
        b"\xff\xfb\xf0\x00",
        b"\xff\xfb\x9c\x00",
        b"\xff\xf1\x50\x80",
        b"OggS\x01",
        b"glTF\x01\x00\x00\x00",
        b"\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska",
        ftyp(b"heic", b"mif1", b"heic"),
        ftyp(b"mif1", b"heic"),
        ftyp(b"crx ", b"isom"),
        ftyp(b"zzzz"),
        b"\x00\x00\x00\x08ftyp",
        struct.pack("<Q", 3) + b"{a}\x00",
        struct.pack("<Q", 10**9) + b'{"a"\x00',
        b"\x1f\x8b\x08\x00",
    ],
)
def test_everything_else_is_unknown_and_not_allowed(head: bytes) -> None:
    assert sniff(head) == UNKNOWN
    assert not sniff(head).allowed


@pytest.mark.parametrize(
    ("head", "size"),
    [
        (PNG, (640, 480)),
        (JPEG, (1024, 768)),
        (GIF, (320, 200)),
        (WEBP_LOSSY, (1280, 720)),
        (WEBP_LOSSLESS, (100, 50)),
        (WEBP_EXTENDED, (1024, 768)),
        (AVIF, (800, 600)),
        (MP4, (1920, 1080)),
        (MOV, (1920, 1080)),
        (WAV, None),
        (PNG[:20], None),
        (PNG[:16] + bytes(12), None),
        (PNG.replace(b"IHDR", b"CgBI"), None),
        (JPEG[:20], None),
        (b"\xff\xd8\xff\xe1\xff\xff" + bytes(100), None),
        (b"\xff\xd8\xff\xe0\x00\x00" * 1000, None),
        (b"\xff\xd8" + b"\xff" * HEAD, None),
        (GIF[:8], None),
        (WEBP_LOSSY[:28], None),
        (WEBP_LOSSY.replace(b"\x9d\x01", b"\x00\x00"), None),
        (AVIF[:40], None),
        (ftyp(b"isom") + b"tkhd", None),
        (ftyp(b"isom") + b"\xff\xff\xff\xfftkhd" * 100, None),
    ],
)
def test_the_size_in_pixels_is_read_or_absent(head: bytes, size: tuple[int, int] | None) -> None:
    assert dimensions(head, sniff(head)) == size


PIECES = st.sampled_from([head[:length] for head, _ in SAMPLES.values() for length in (4, 8, 12, 16, 24, 60)])


@given(st.lists(PIECES | st.binary(max_size=40), max_size=6).map(b"".join))
def test_no_bytes_make_it_raise(head: bytes) -> None:
    type_ = sniff(head)
    assert isinstance(dimensions(head, type_), tuple | None)
    for known in {type_ for _, type_ in SAMPLES.values()}:
        dimensions(head, known)
        if ending := ending_of(known):
            ending.feed(head)
            assert isinstance(ending.complete, bool)


@pytest.mark.parametrize(
    "head", [b"[" * HEAD, b" " * HEAD, b'{"a":' * (HEAD // 5), b"9" * HEAD, b"[" + b"9" * HEAD]
)
def test_hostile_text_costs_little_and_does_not_raise(head: bytes) -> None:
    assert sniff(head) in (kinds.TEXT, kinds.JSON)


def complete(type_: FileType, data: bytes, step: int = 7) -> bool:
    ending = ending_of(type_)
    assert ending
    for at in range(0, len(data), step):
        ending.feed(data[at : at + step])
    return ending.complete


WHOLE = {
    "png": (PNG, kinds.PNG),
    "jpeg": (JPEG, kinds.JPEG),
    "gif": (GIF, kinds.GIF),
    "webp": (WEBP_EXTENDED, kinds.WEBP),
    "wav": (WAV, kinds.WAV),
    "glb": (GLB, kinds.GLB),
    "mp4": (MP4, kinds.MP4),
    "mov": (MOV, kinds.MOV),
    "avif": (AVIF, kinds.AVIF),
}


@pytest.mark.parametrize("step", [1, 7, 100_000])
@pytest.mark.parametrize(("data", "type_"), WHOLE.values(), ids=WHOLE.keys())
def test_a_file_is_whole_at_its_end_and_nowhere_before(data: bytes, type_: FileType, step: int) -> None:
    assert complete(type_, data, step)
    assert not any(complete(type_, data[:end], step) for end in range(len(data)))


@pytest.mark.parametrize(
    ("data", "type_"),
    [
        (PNG + b"trailing", kinds.PNG),
        (JPEG + bytes(1000), kinds.JPEG),
        (GIF + bytes(3), kinds.GIF),
        (WAV + b"LIST", kinds.WAV),
        (WAV[:4] + b"\xff\xff\xff\xff" + WAV[8:-5], kinds.WAV),
        (WAV[:4] + bytes(4) + WAV[8:-5], kinds.WAV),
        (MP4 + bytes(20), kinds.MP4),
        (MP4 + b"\x00\x00\x00\x01mdat" + (20).to_bytes(8) + b"four", kinds.MP4),
        (MP4 + b"\x00\x00\x00\x00mdat" + bytes(99), kinds.MP4),
    ],
)
def test_bytes_after_the_end_and_lengths_left_open_are_fine(data: bytes, type_: FileType) -> None:
    assert complete(type_, data)


@pytest.mark.parametrize(
    "data",
    [
        MP4 + b"\x00\x00\x00\x07free",
        MP4 + b"\x00\x00\x00\x01mdat" + (15).to_bytes(8),
        MP4 + b"\x00\x00\x00\x01mdat" + (2**63).to_bytes(8),
        MP4 + box(b"free") * 10_001,
        ftyp(b"isom") + box(b"mdat", bytes(100)),
    ],
    ids=["size 7", "long size 15", "endless", "too many boxes", "no movie box"],
)
def test_broken_boxes_are_not_whole(data: bytes) -> None:
    assert not complete(kinds.MP4, data, 4096)


@pytest.mark.parametrize("type_", [kinds.MP3, kinds.TEXT, kinds.JSON, kinds.WEBM, kinds.ZIP, UNKNOWN])
def test_formats_without_an_end_have_no_ending(type_: FileType) -> None:
    assert ending_of(type_) is None
    assert type_.kind in Kind
