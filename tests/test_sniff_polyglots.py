"""Files that are two things at once, or not what they are called: their first bytes alone decide."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING

import pytest

from service.prediction import Disposition, Stage
from service.simulator.scenario import Scenario
from tests import origin
from tests.workplace import shop_of, workplace
from workers.sniff import HEAD, UNKNOWN, FileType, kinds, sniff

if TYPE_CHECKING:
    from pathlib import Path

HTML = b"<!doctype html><script>alert(document.domain)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
JS = b"alert(1)"
PDF = (
    b"%PDF-1.7\n1 0 obj<</Type/Catalog/OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj\n"
    b"trailer<</Root 1 0 R>>\n%%EOF\n"
)
"""All of it is ASCII, and a reader opens it."""
EXE = b"MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff" + bytes(46) + b"\x40\x00\x00\x00PE\x00\x00"
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


def archive(*names: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for name in names:
            file.writestr(name, JS)
    return packed.getvalue()


ZIP = archive("payload.js")


def chunk(name: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4) + name + data + zlib.crc32(name + data).to_bytes(4)


def png(*chunks: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0\0"))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + pixels + chunk(b"IEND", b"")


def jpeg(comment: bytes = b"") -> bytes:
    said = b"\xff\xfe" + (len(comment) + 2).to_bytes(2) + comment if comment else b""
    return b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00" + said + b"\xff\xd9"


def box(name: bytes, body: bytes = b"") -> bytes:
    return (len(body) + 8).to_bytes(4) + name + body


def film(major: bytes, *compatible: bytes, then: bytes = b"") -> bytes:
    return box(b"ftyp", major + bytes(4) + b"".join(compatible)) + box(b"moov") + box(b"mdat", b"x") + then


def riff(form: bytes, body: bytes, size: bytes | None = None) -> bytes:
    return b"RIFF" + (size or (len(body) + 4).to_bytes(4, "little")) + form + body


ALLOWED: dict[str, tuple[bytes, FileType]] = {
    "GIF and script": (b"GIF89a/*" + bytes(20) + b"*/=1;" + JS + b"//;", kinds.GIF),
    "GIF that is all text": (b"GIF89a=1;" + JS + b";", kinds.GIF),
    "GIF and page": (b"GIF89a\x01\x00\x01\x00\x00\x00\x00" + HTML + b";", kinds.GIF),
    "GIF and JAR": (b"GIF89a\x01\x00\x01\x00\x00\x00\x00;" + archive("META-INF/MANIFEST.MF"), kinds.GIF),
    "JPEG and ZIP": (jpeg() + ZIP, kinds.JPEG),
    "JPEG and PDF": (jpeg(PDF), kinds.JPEG),
    "JPEG and page in its comment": (jpeg(HTML), kinds.JPEG),
    "JPEG and PHP in its comment": (jpeg(b"<?php system($_GET[0]); ?>"), kinds.JPEG),
    "JPEG and RAR": (jpeg() + b"Rar!\x1a\x07\x01\x00", kinds.JPEG),
    "PNG and script in its text": (png(chunk(b"tEXt", b"Comment\0<script>alert(1)</script>")), kinds.PNG),
    "PNG and page in its profile": (png(chunk(b"iCCP", b"x\0\0" + zlib.compress(HTML))), kinds.PNG),
    "PNG and SVG in its text": (png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + SVG)), kinds.PNG),
    "PNG and ZIP": (png() + ZIP, kinds.PNG),
    "PNG and program": (png() + EXE, kinds.PNG),
    "PNG that moves": (png(chunk(b"acTL", bytes(8))), kinds.PNG),
    "WebP and script": (riff(b"WEBP", b"VP8L*/=1;" + JS, size=b"=1/*"), kinds.WEBP),
    "WAV and script": (riff(b"WAVE", b"*/;" + JS, size=b"=1/*"), kinds.WAV),
    "MP3 and page": (b"ID3\x04\x00\x00\x00\x00\x02\x01" + HTML, kinds.MP3),
    "MP3 frame and page": (b"\xff\xfb\x90\x64" + HTML, kinds.MP3),
    "FLAC and page": (b"fLaC" + HTML, kinds.FLAC),
    "Ogg and page": (b"OggS\x00\x02" + HTML, kinds.OGG),
    "MP4 and page": (film(b"isom", then=box(b"free", HTML)), kinds.MP4),
    "MP4 and ZIP": (film(b"mp42", then=ZIP), kinds.MP4),
    "MP4 of an unknown brand": (film(b"zzzz", b"isom"), kinds.MP4),
    "MP4 of a phone": (film(b"3gp4", b"3gp4", b"isom"), kinds.MP4),
    "MP4 of a camera": (film(b"XAVC", b"mp42"), kinds.MP4),
    "MP4 of an iTunes song": (film(b"M4A ", b"mp42"), kinds.MP4),
    "MP4 whose first box has no size": (b"\0\0\0\0ftypisom" + bytes(8), kinds.MP4),
    "MP4 whose first box has a long size": (b"\0\0\0\x01ftypisom" + bytes(8), kinds.MP4),
    "MP4 with more brands than there are": (film(b"isom", *[b"zzzz"] * 1000), kinds.MP4),
    "MOV and page": (box(b"free", HTML) + box(b"moov"), kinds.MOV),
    "AVIF of many brands": (film(b"mif1", b"miaf", b"MA1B", b"avif"), kinds.AVIF),
    "ZIP and PDF": (archive("payload.js") + PDF, kinds.ZIP),
    "ZIP of a page": (archive("index.html"), kinds.ZIP),
    "JAR": (archive("META-INF/MANIFEST.MF", "Main.class"), kinds.ZIP),
    "JSON of a page": (b'{"a": "<script>alert(1)</script>"}', kinds.JSON),
    "text about a page": (b"Use the p element, and a < b.", kinds.TEXT),
    "text that a virus scanner knows": (EICAR, kinds.TEXT),
    "one letter": (b"a", kinds.TEXT),
    "one less-than": (b"<", kinds.TEXT),
}
HELD: dict[str, bytes] = {
    "nothing": b"",
    "one NUL": b"\0",
    "one byte that is no letter": b"\xff",
    "page": HTML,
    "page after blanks": b" \r\n\t" + HTML,
    "page after a byte order mark": b"\xef\xbb\xbf" + HTML,
    "page in UTF-16": b"\xff\xfe" + HTML.decode().encode("utf-16-le"),
    "page in UTF-16 without a mark": HTML.decode().encode("utf-16-be"),
    "page in UTF-32": b"\xff\xfe\0\0" + HTML.decode().encode("utf-32-le"),
    "page after a comment": b"<!-- \x89PNG -->" + HTML,
    "page after text": b"A lighthouse. <HTML><body onload=alert(1)>",
    "page after JSON": b'{"a": 1}' + HTML,
    "SVG": SVG,
    "SVG behind its declaration": b"<?xml version='1.0'?>" + SVG,
    "SVG behind its entities": b"<!DOCTYPE svg [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>" + SVG,
    "SVG packed": zlib.compress(SVG, wbits=31),
    "XML": b"<?xml version='1.0'?><a/>",
    "PHP": b"<?php system($_GET[0]); ?>",
    "shell script": b"#!/bin/sh\nrm -rf /",
    "PDF": PDF + b"\xe2\xe3\xcf\xd3",
    "PDF that is all ASCII": PDF,
    "PDF after a line": b"a line of text\n" + PDF,
    "PDF after a kilobyte": b"x" * 1024 + PDF,
    "PDF and ZIP": PDF + ZIP,
    "PostScript": b"%!PS-Adobe-3.0\n(/etc/passwd) (r) file",
    "Rich Text": rb"{\rtf1\ansi{\object\objocx}}",
    "program": EXE,
    "program that unpacks itself": EXE + ZIP,
    "program of Linux": b"\x7fELF\x02\x01\x01" + bytes(9),
    "program of macOS": b"\xcf\xfa\xed\xfe" + bytes(12),
    "class of Java": b"\xca\xfe\xba\xbe\x00\x00\x00\x34",
    "WebAssembly": b"\0asm\x01\0\0\0",
    "Flash": b"FWS\x0a" + bytes(8),
    "cabinet": b"MSCF" + bytes(8),
    "shortcut": b"\x4c\0\0\0\x01\x14\x02\0",
    "old Word": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    "RAR": b"Rar!\x1a\x07\x01\x00",
    "7-Zip": b"7z\xbc\xaf\x27\x1c",
    "gzip": zlib.compress(b"x", wbits=31),
    "tar": b"name" + bytes(253) + b"ustar\x0000",
    "BMP": b"BM" + bytes(12),
    "TIFF": b"II*\0" + bytes(8),
    "icon": b"\0\0\x01\0\x01\0",
    "HEIC": film(b"heic", b"mif1", b"heic"),
    "AVI": riff(b"AVI ", bytes(8)),
    "Matroska": b"\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska",
    "font": b"wOFF" + bytes(8),
    "PNG but for one bit": b"\x89PNF\r\n\x1a\n" + png()[8:],
    "PNG after a byte": b"\0" + png(),
    "MP4 of no brand at all": film(b"zzzz", b"yyyy"),
    "tensors whose header is a page": struct.pack("<Q", len(HTML)) + HTML,
}


@pytest.mark.parametrize(("data", "expected"), ALLOWED.values(), ids=ALLOWED.keys())
def test_what_begins_as_an_allowed_file_is_that_file(data: bytes, expected: FileType) -> None:
    assert sniff(data[:HEAD]) == expected


@pytest.mark.parametrize("data", HELD.values(), ids=HELD.keys())
def test_what_can_be_opened_as_something_else_is_not_allowed(data: bytes) -> None:
    assert sniff(data[:HEAD]) == UNKNOWN


def test_a_document_is_looked_for_where_its_readers_look() -> None:
    """Farther down it is only a text that speaks of one."""
    assert sniff(b"x" * 1025 + PDF) == kinds.TEXT
    assert sniff(b"The header is {\\rtf1, or %!PS.") == kinds.TEXT


@pytest.mark.anyio
async def test_neither_name_nor_header_has_a_say_in_what_becomes_of_a_file(
    redis_url: str, tmp_path: Path
) -> None:
    """Every one is called `.png`, by its URL and by its `Content-Type`."""
    files = {name: data for name, (data, _) in ALLOWED.items()} | HELD
    del files["nothing"]  # is not a file: the origin is asked again
    scripts = {
        f"/{number}.png": origin.answer(data, headers="Content-Type: image/png\r\n")
        for number, data in enumerate(files.values())
    }
    async with (
        workplace(redis_url, tmp_path) as place,
        shop_of(place) as shop,
        origin.running(scripts) as liar,
    ):
        urls = [liar.url(path) for path in scripts]
        said = place.payload(Scenario.CLEAN, outputs=urls, has_nsfw_contents=[False] * len(urls))
        ended = await place.worked(shop, await place.complete(said))
        assert ended["stage"] == Stage.DONE
        stored = [path for path in place.files() if not path.startswith("held/")]
    for name, output in zip(files, ended["outputs"], strict=True):
        kind = ALLOWED[name][1] if name in ALLOWED else UNKNOWN
        allowed = kind is not UNKNOWN
        assert output["disposition"] == (Disposition.STORED if allowed else Disposition.HELD), name
        assert output["error"] == (None if allowed else "type_not_allowed"), name
        assert output["media_type"] == kind.media_type, name
        assert output["uri"].endswith(f"/{output['index']}.{kind.extension}"), name
        assert ("/held/" in output["uri"]) is not allowed, name
    assert len(stored) == len(ALLOWED)
