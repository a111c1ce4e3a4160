"""KEDA's and the Prometheus operator's resources, against their definitions: `python -m tests.operators`.

The models are made of the custom resource definitions. Loading them takes seconds: no test of the suite.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import yaml
from cloudcoil.models.keda import v1alpha1 as keda
from cloudcoil.models.prometheus_operator import v1 as prometheus_operator

from tests.house import ROOT

_MODELS = {"keda.sh/v1alpha1": keda, "monitoring.coreos.com/v1": prometheus_operator}
_OVERLAYS = {
    "keda": {"ScaledObject", "TriggerAuthentication"},
    "observability": {"PrometheusRule", "ServiceMonitor"},
}


def misfit(resource: dict[str, Any]) -> str:
    """What is wrong with it; "" when it fits. A model leaves out what the definition does not know."""
    model = getattr(_MODELS[resource["apiVersion"]], resource["kind"])
    try:
        read = model.model_validate(resource)
    except ValueError as error:
        return str(error)
    known = read.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return "" if known == resource else f"not all of it is known: {known}"


def main() -> None:
    for overlay, kinds in _OVERLAYS.items():
        command = ["kubectl", "kustomize", str(ROOT / "deploy/kustomize/overlays" / overlay)]
        rendered = yaml.safe_load_all(subprocess.check_output(command, text=True))
        resources = {one["kind"]: one for one in rendered if one["apiVersion"] in _MODELS}
        if set(resources) != kinds:
            raise SystemExit(f"{overlay}: has {sorted(resources)}, not {sorted(kinds)}")
        for kind, resource in resources.items():
            if wrong := misfit(resource):
                raise SystemExit(f"{overlay}: {kind}: {wrong}")
            if not misfit(resource | {"spec": resource["spec"] | {"nobodyKnows": 1}}):
                raise SystemExit(f"{overlay}: {kind}: an unknown field passes")
            sys.stdout.write(f"{overlay}: {kind} fits\n")


if __name__ == "__main__":
    main()
