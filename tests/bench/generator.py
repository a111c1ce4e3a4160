"""The load generator: a process that sends callbacks over so many connections and says what came back.

`python -m tests.bench.generator --port 8080 --count 20000 --connections 64 --prefix a`

Bare sockets and epoll: it has to be several times as fast as what it measures.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import sys
import time
from collections import Counter, deque

from tests.bench import callbacks

PATIENCE = 60.0
"""Seconds without any answer after which it gives up."""


class Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.heard = b""
        self.began = 0.0

    def send(self, request: bytes) -> None:
        self.began = time.perf_counter()
        self.socket.sendall(request)

    def status(self) -> int | None:
        """Of the answer, once all of it is here."""
        received = self.socket.recv(65_536)
        if not received:
            raise ConnectionResetError("the server closed a connection")
        self.heard += received
        head, found, rest = self.heard.partition(b"\r\n\r\n")
        if not found:
            return None
        lowered = head.lower()
        at = lowered.find(b"content-length:")
        length = int(lowered[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(rest) < length:
            return None
        self.heard = rest[length:]
        return int(head[9:12])


def send_all(requests: list[bytes], port: int, connections: int) -> dict[str, object]:
    """As fast as the answers come, one request at a time on each connection."""
    waiting = deque(requests)
    poll = select.epoll()
    open_: dict[int, Connection] = {}
    for _ in range(min(connections, len(requests))):
        connection = Connection(port)
        open_[connection.socket.fileno()] = connection
        poll.register(connection.socket, select.EPOLLIN)
    took: list[float] = []
    statuses: Counter[int] = Counter()
    began, cpu = time.perf_counter(), time.process_time()
    for connection in open_.values():
        connection.send(waiting.popleft())
    while len(took) < len(requests):
        events = poll.poll(PATIENCE)
        if not events:
            raise TimeoutError(f"no answer for {PATIENCE:g} s, after {len(took)}")
        for descriptor, _ in events:
            connection = open_[descriptor]
            if (status := connection.status()) is None:
                continue
            took.append(time.perf_counter() - connection.began)
            statuses[status] += 1
            if waiting:
                connection.send(waiting.popleft())
    seconds = time.perf_counter() - began
    return summary(took, statuses, seconds, time.process_time() - cpu)


def summary(took: list[float], statuses: Counter[int], seconds: float, cpu: float) -> dict[str, object]:
    took.sort()
    return {
        "count": len(took),
        "seconds": seconds,
        "per_second": len(took) / seconds,
        "p50_ms": 1000 * took[len(took) // 2],
        "p99_ms": 1000 * took[int(len(took) * 0.99)],
        "max_ms": 1000 * took[-1],
        "statuses": {str(status): n for status, n in statuses.items()},
        "busy": cpu / seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--prefix", default="bench")
    parser.add_argument("--output", default=callbacks.OUTPUT)
    parser.add_argument("--outputs", type=int, default=1)
    asked = parser.parse_args()
    ids = [f"{asked.prefix}{n:07d}" for n in range(asked.count)]
    requests = callbacks.requests(ids, asked.port, asked.output, asked.outputs)
    json.dump(send_all(requests, asked.port, asked.connections), sys.stdout)


if __name__ == "__main__":
    main()
