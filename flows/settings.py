"""The only reader of the environment: where the tracking server, the ledger and the state are."""

from __future__ import annotations

import getpass
import os
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from pipeline_steps.errors import ConfigurationError


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
    actor: str = Field(default_factory=_user)
    smoke_test_timeout_seconds: float = Field(default=300.0, gt=0)


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
            f"the environment has {len(mistakes)} mistake(s):{''.join(mistakes)}",
            expected="the values that are named above, or none",
            fix="unset or correct these variables, then run the command again",
        ) from error
