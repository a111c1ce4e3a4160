"""A stand-in for systemctl on machines without systemd: it runs the very command line of a unit, as its user.

With the environment, credentials, folders and umask that the unit names. It restarts nothing and confines
nothing: what a unit forbids its process is for `systemd-analyze` to judge. A script for any Python 3.11,
since the machine that it stands on has nothing of ours yet.
"""

from __future__ import annotations

import os
import pwd
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from string import Template

_PLACES = (Path("/etc/systemd/system"), Path("/lib/systemd/system"))
_RUNNING = Path("/run/units")
_PATIENCE = 40.0


class Unit:
    """`name` without `.service`, with what stands behind its `@`."""

    def __init__(self, name: str) -> None:
        self.name = name
        stem, _, self._instance = name.partition("@")
        file = f"{stem}@.service" if self._instance else f"{stem}.service"
        path = next((place / file for place in _PLACES if (place / file).exists()), None)
        if path is None:
            raise SystemExit(f"Unit {name}.service could not be found.")
        lines = path.read_text().replace("\\\n", " ").splitlines()
        split = [line.partition("=") for line in lines if line[:1].isalpha()]
        self._said = [(key, value.replace("%i", self._instance)) for key, _, value in split]
        self._pid = _RUNNING / name

    def every(self, key: str) -> list[str]:
        return [value for name, value in self._said if name == key]

    def one(self, key: str, default: str = "") -> str:
        return (self.every(key) or [default])[-1]

    def pid(self) -> int | None:
        """Of its process, while that lives."""
        try:
            pid = int((Path(self.one("PIDFile")) if self._forks else self._pid).read_text())
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, ValueError):
            return None
        return None if state == "Z" else pid

    @property
    def _forks(self) -> bool:
        return self.one("Type") == "forking"

    def start(self) -> None:
        if self.pid():
            return
        user = pwd.getpwnam(self.one("User", "root"))
        self._make_folders(user)
        credentials = self._hand_over(user)
        environment = self._environment(credentials, user)
        words = shlex.split(Template(self.one("ExecStart")).safe_substitute(environment))
        log = Path("/var/log/units", f"{self.name}.log")
        log.parent.mkdir(exist_ok=True)
        with log.open("ab") as out:
            process = subprocess.Popen(
                words,
                env=environment,
                cwd=self.one("WorkingDirectory", "/"),
                user=user.pw_uid,
                group=user.pw_gid,
                extra_groups=os.getgrouplist(user.pw_name, user.pw_gid),
                umask=int(self.one("UMask", "0022"), 8),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        if self._forks and process.wait():
            raise SystemExit(f"{self.name} failed: {log.read_text()[-2000:]}")
        if not self._forks:
            self._pid.write_text(str(process.pid))

    def stop(self) -> None:
        pid = self.pid()
        if pid is None:
            return
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + _PATIENCE
        while self.pid():
            if time.monotonic() > deadline:
                raise SystemExit(f"{self.name} does not end")
            time.sleep(0.05)

    def _make_folders(self, user: pwd.struct_passwd) -> None:
        for key, place in (("StateDirectory", "/var/lib"), ("RuntimeDirectory", "/run")):
            for name in self.one(key).split():
                folder = Path(place, name)
                folder.mkdir(parents=True, exist_ok=True)
                folder.chmod(int(self.one(f"{key}Mode", "0755"), 8))
                os.chown(folder, user.pw_uid, user.pw_gid)

    def _hand_over(self, user: pwd.struct_passwd) -> Path:
        """What `LoadCredential` names, in a folder that only the user can enter."""
        folder = Path("/run/credentials", self.name)
        folder.mkdir(parents=True, exist_ok=True)
        for name, _, path in (value.partition(":") for value in self.every("LoadCredential")):
            (file := folder / name).write_bytes(Path(path).read_bytes())
            os.chown(file, user.pw_uid, user.pw_gid)
            file.chmod(0o400)
        os.chown(folder, user.pw_uid, user.pw_gid)
        folder.chmod(0o500)
        return folder

    def _environment(self, credentials: Path, user: pwd.struct_passwd) -> dict[str, str]:
        told = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": user.pw_dir}
        words = [word for value in self.every("Environment") for word in shlex.split(value)]
        for value in self.every("EnvironmentFile"):
            path = Path(value.removeprefix("-"))
            lines = path.read_text().splitlines() if path.exists() else []
            words += [line.replace('"', "") for line in lines if line[:1].isalpha()]
        split = (word.partition("=") for word in words)
        return told | {name: text.replace("%d", str(credentials)) for name, _, text in split}


def main(verb: str, *names: str) -> None:
    _RUNNING.mkdir(parents=True, exist_ok=True)
    units = [Unit(name.removesuffix(".service")) for name in names if not name.startswith("-")]
    if verb in {"stop", "restart"}:
        for unit in units:
            unit.stop()
    if verb in {"start", "restart"} or "--now" in names:
        for unit in units:
            unit.start()


if __name__ == "__main__":
    main(*sys.argv[1:])
