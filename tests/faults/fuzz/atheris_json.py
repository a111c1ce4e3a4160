"""The same readings, by a fuzzer that sees which lines an input reaches; it needs the group `fuzz`.

`uv run --group fuzz python -m tests.faults.fuzz.atheris_json -max_total_time=600`: the arguments are
libFuzzer's. Without a folder of inputs among them it begins with the corpus. A finding is left in the folder
for temporary files. The first byte of an input says what the rest is taken for.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BODY, HEADERS, URL = b"b", b"h", b"u"
_PAYLOADS = Path(__file__).parents[2] / "payloads"
_LONGEST = 4_096
_GENUINE = b"*"
"""In the place of a signature: the right one, which no fuzzer finds by itself."""


def one_input(data: bytes) -> None:
    """Raises AssertionError, or whatever else no input may raise."""
    # Loaded late here and below: the fuzzer sees the lines of what is loaded when it listens.
    from tests.faults.fuzz import readings

    kind, rest = data[:1], data[1:]
    if kind == HEADERS:
        webhook_id, timestamp, signature, body = (rest.split(b"\n", 3) + [b""] * 4)[:4]
        if signature.startswith(_GENUINE):
            right = b"v3," + readings.signature(webhook_id, timestamp, body)
            signature = right + signature.removeprefix(_GENUINE)
        names = (b"webhook-id", b"webhook-timestamp", b"webhook-signature")
        readings.headers(list(zip(names, (webhook_id, timestamp, signature), strict=True)), body)
    elif kind == URL:
        readings.url(rest.decode(errors="surrogateescape"))
    else:
        readings.body(rest)


def seeds() -> Iterator[bytes]:
    from tests.corpus import rows

    yield from (BODY + file.read_bytes() for file in sorted(_PAYLOADS.glob("*.json")))
    yield from (BODY + row.data for row in rows("bodies"))
    yield from (HEADERS + b"evt\n1700000000\n*%b\n{}" % more for more in (b"", b" v3," + b"0" * 64, b" "))
    yield from (HEADERS + b"%b\n1\n*\n" % row.data for row in rows("ids"))
    yield from (URL + b"http://example.com%b" % row.data for row in rows("paths"))


def main(arguments: Sequence[str]) -> None:
    """Does not return: libFuzzer ends the process, with 77 and the input on disk after a finding."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["service.wavespeed", "service.ledger", "workers.guard"]):
        one_input(BODY)
    with tempfile.TemporaryDirectory() as folder:
        begin = list(arguments)
        if all(argument.startswith("-") for argument in arguments):
            for number, seed in enumerate(seeds()):
                (Path(folder) / f"{number}").write_bytes(seed[:_LONGEST])
            begin.append(folder)
        findings = f"-artifact_prefix={tempfile.gettempdir()}/catchlight-"
        atheris.Setup([sys.argv[0], f"-max_len={_LONGEST}", findings, *begin], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
