"""The only reader of the environment: where the tracking server, the ledger and the state are."""

from __future__ import annotations

import getpass
import os
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from pipeline_steps.errors import ConfigurationError, counted


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have a number and no name
        return f"uid {os.getuid()}"


class Settings(BaseSettings):
    """Environment variables ``HOLDFAST_*``; unset ones mean files under the state directory.

    Relative paths, also those in SQLite addresses, are relative to the workspace.
    """

    model_config = SettingsConfigDict(
        env_prefix="HOLDFAST_", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    state_dir: Path = Path(".holdfast")
    mlflow_tracking_uri: str | None = None
    mlflow_artifact_location: str | None = None
    ledger_url: str | None = None
    study_url: str | None = None
    traffic_url: str | None = None
    processes: int = Field(default=1, ge=1)
    actor: str = Field(default_factory=_user)
    smoke_test_timeout_seconds: float = Field(default=300.0, gt=0)
    watts_per_core: float | None = Field(default=None, gt=0)
    grams_co2_per_kwh: float | None = Field(default=None, ge=0)
    notify_url: str | None = None
    notify_block: str | None = None


def load_settings() -> Settings:
    """Return the settings in the environment.

    Raises
    ------
    ConfigurationError
        With every wrong variable at once.
    """
    try:
        return Settings()
    except ValidationError as error:
        mistakes = [
            f"\n  - HOLDFAST_{'_'.join(map(str, m['loc'])).upper()}={m['input']}: {m['msg']}"
            for m in error.errors()
        ]
        raise ConfigurationError(
            f"the environment has {counted(len(mistakes), 'mistake')}:{''.join(mistakes)}",
            expected="the values that are named above, or none",
            fix="unset or correct these variables, then run the command again",
        ) from error
