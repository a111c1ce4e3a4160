"""Settings: one frozen value, read once at start from the environment, catchlight.toml and the defaults."""

from service.settings.loading import load
from service.settings.model import Settings
from service.settings.rows import SettingRow

__all__ = ["SettingRow", "Settings", "load"]
