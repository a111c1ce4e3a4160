"""A real Prometheus with the rules that we ship, which asks one receiver; only their waits are shortened."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import httpx

from service import embedded
from tests.faults.processes import Slot
from tests.house import ROOT
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.processes import Processes

RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
FOR, WINDOW = "2s", "20s"
SHORTENED = (
    f"of the shipped rules every `for:` is {FOR} and every range [{WINDOW}]; the expressions are the same"
)
"""Said wherever results are shown."""
_LISTENS = "Server is ready to receive web requests"
_CONFIG = """
global: {{scrape_interval: 2s, scrape_timeout: 2s, evaluation_interval: 1s}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: catchlight
    static_configs: [{{targets: ["{target}"]}}]
"""


def shortened(rules: str) -> str:
    rules = re.sub(r"^( +for: )\w+$", rf"\g<1>{FOR}", rules, flags=re.MULTILINE)
    return re.sub(r"\[\d+[smhd]\]", f"[{WINDOW}]", rules)


class Watch:
    """It runs in a slot of the processes, and ends with them."""

    def __init__(self, folder: Path, processes: Processes, target: str) -> None:
        folder.mkdir()
        (folder / "rules.yml").write_text(shortened(RULES.read_text()))
        (folder / "prometheus.yml").write_text(_CONFIG.format(target=target))
        port = embedded.free_port()
        command = [
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--scrape.discovery-reload-interval=1s",  # it waits 5 s else before it asks anybody at all
        ]
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=10)
        processes.add(Slot("prometheus", command, {}, _LISTENS, folder / "log"))
        wait_until(self._has_asked, 30, "Prometheus has asked the receiver, and judged")

    def close(self) -> None:
        self._client.close()

    def _has_asked(self) -> bool:
        (group,) = self._ask("/api/v1/rules")["groups"]
        judged = all(rule["health"] == "ok" for rule in group["rules"])
        return judged and bool(self._ask("/api/v1/query", query="catchlight_redis_up == 1")["result"])

    def alerts(self, state: str = "firing") -> dict[str, dict[str, str]]:
        """Name → annotations of those in that state."""
        found = self._ask("/api/v1/alerts")["alerts"]
        return {
            one["labels"]["alertname"]: one["annotations"] for one in found if state in ("", one["state"])
        }

    def _ask(self, path: str, **params: str) -> dict[str, Any]:
        answer = self._client.get(path, params=params)
        answer.raise_for_status()
        data: dict[str, Any] = answer.json()["data"]
        return data
