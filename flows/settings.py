"""The only reader of the environment: where the tracking server, the ledger and the state are."""

from __future__ import annotations

import getpass
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Environment variables ``HOLDFAST_*``; unset ones mean files under the state directory.

    Relative paths are relative to the workspace.
    """

    model_config = SettingsConfigDict(env_prefix="HOLDFAST_", frozen=True, extra="ignore")

    state_dir: Path = Path(".holdfast")
    mlflow_tracking_uri: str | None = None
    mlflow_artifact_location: str | None = None
    ledger_url: str | None = None
    actor: str = Field(default_factory=getpass.getuser)
    smoke_test_timeout_seconds: float = 300.0
