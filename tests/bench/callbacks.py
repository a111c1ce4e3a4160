"""Callbacks as the provider sends them, signed beforehand: who signs while he sends is a slow generator."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from tests.serving import PATH, sign

if TYPE_CHECKING:
    from collections.abc import Sequence

MODEL = "wavespeed-ai/flux-dev"


OUTPUT = "https://d1q70pf5vjeyhc.cloudfront.net/predictions/{id}/1.jpeg"


def body(id_: str, output: str = OUTPUT, outputs: int = 1) -> bytes:
    """A completed prediction with one clean output: about 900 bytes, `{id}` in its output's URL filled in.

    Of several outputs each has a URL of its own.
    """
    urls = [output.replace("{id}", f"{id_}-{n}" if n else id_) for n in range(outputs)]
    return json.dumps(
        {
            "id": id_,
            "model": MODEL,
            "status": "completed",
            "created_at": "2026-01-02T03:04:05.678Z",
            "outputs": urls,
            "has_nsfw_contents": [False] * outputs,
            "error": "",
            "executionTime": 2891,
            "timings": {"inference": 2784},
            "urls": {"get": f"https://api.wavespeed.ai/api/v3/predictions/{id_}/result"},
            "input": {
                "prompt": "A lighthouse on a cliff at dusk, long exposure, the beam sweeping over a calm "
                "sea, volumetric light, film grain, 35 mm, wide angle, muted colours, photorealistic",
                "size": "1024*1024",
                "num_inference_steps": 28,
                "guidance_scale": 3.5,
                "num_images": 1,
                "seed": 1234567,
                "strength": 0.8,
                "enable_base64_output": False,
                "enable_safety_checker": True,
                "output_format": "jpeg",
            },
        }
    ).encode()


def requests(ids: Sequence[str], port: int, output: str = OUTPUT, outputs: int = 1) -> list[bytes]:
    """Whole HTTP requests, head and body."""
    now = time.time()
    whole = []
    for id_ in ids:
        said = body(id_, output, outputs)
        head = {
            "host": f"127.0.0.1:{port}",
            "content-type": "application/json",
            "content-length": str(len(said)),
            **sign(said, now, message=f"msg_{id_}"),
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        whole.append(f"POST {PATH} HTTP/1.1\r\n{lines}\r\n".encode() + said)
    return whole
