"""Settings: one frozen value, read once at start from the environment, catchlight.toml and the defaults."""

from service.settings.loading import load
from service.settings.rows import SettingRow
from service.settings.whole import Settings

__all__ = ["SettingRow", "Settings", "load"]
