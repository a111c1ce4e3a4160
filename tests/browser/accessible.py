"""What axe-core says of a page: run in a world of its own beside the page's scripts, as the CSP allows."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.async_api import Page

_AXE = Path(__file__).parent / "vendored" / "axe.min.js"
COLOURS = ("color-contrast",)
"""The rules that a theme makes a difference to."""
SHAPES = (*COLOURS, "target-size", "scrollable-region-focusable")
"""The rules that a width makes a difference to."""


@cache
def _source() -> str:
    return _AXE.read_text("utf-8")


async def violations(page: Page, rules: tuple[str, ...] = ()) -> list[str]:
    """One line for each element that breaks a rule: of all of axe's, or of `rules`."""
    options: dict[str, Any] = {"resultTypes": ["violations"], "elementRef": False}
    if rules:
        options["runOnly"] = {"type": "rule", "values": list(rules)}
    client = await page.context.new_cdp_session(page)
    try:
        tree = await client.send("Page.getFrameTree")
        world = await client.send(
            "Page.createIsolatedWorld", {"frameId": tree["frameTree"]["frame"]["id"], "worldName": "axe"}
        )
        where = {"contextId": world["executionContextId"], "awaitPromise": True, "returnByValue": True}
        run = f"axe.run(document, {json.dumps(options)}).then((found) => JSON.stringify(found.violations))"
        there = await client.send("Runtime.evaluate", where | {"expression": "typeof axe"})
        source = _source() + ";" if there["result"]["value"] == "undefined" else ""
        answer = await client.send("Runtime.evaluate", where | {"expression": source + run})
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
    finally:
        await client.detach()
    return [
        f"{found['id']}: {node['html'][:200]}: {node.get('failureSummary', '')}"
        for found in json.loads(answer["result"]["value"])
        for node in found["nodes"]
    ]
