"""The one door to MLflow: runs, metrics, artifacts, model versions and aliases."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline_steps.errors import RegistryError
from pipeline_steps.registry.mlflow_library import (
    MISSING,
    PRESENT,
    code_of,
    explained,
    load_mlflow,
)
from pipeline_steps.registry.packaging import MODEL_ARTIFACTS, save_served_model
from pipeline_steps.registry.tracked_runs import Runs
from pipeline_steps.types import Checkpoint, ModelVersion

CHECKPOINT = "holdfast.checkpoint_digest"
_MODEL = "model"
_MAX_DESCRIPTION = 5000  # MLflow's limit


class Tracker(Runs):
    """Runs of one experiment, and the registry beside it: models, versions and aliases."""

    def log_model(
        self,
        mlflow_run_id: str,
        checkpoint: Checkpoint,
        *,
        input_example: Sequence[Mapping[str, Any]],
    ) -> str:
        """Return the URI of the model after logging it: code, weights, signature, requirements."""
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / _MODEL
            save_served_model(path, checkpoint, input_example)
            self.client.log_artifacts(mlflow_run_id, str(path), _MODEL)
        return f"runs:/{mlflow_run_id}/{_MODEL}"

    def register(
        self,
        name: str,
        model_uri: str,
        mlflow_run_id: str,
        checkpoint_digest: str,
        tags: Mapping[str, str],
    ) -> ModelVersion:
        """Return the new version of a model."""
        self._make_registered_model(name)
        artifacts = self.client.get_run(mlflow_run_id).info.artifact_uri
        source = f"{artifacts}/{model_uri.rsplit('/', 1)[-1]}"
        version = self.client.create_model_version(
            name, source, run_id=mlflow_run_id, tags={CHECKPOINT: checkpoint_digest, **tags}
        )
        return self.version(name, int(version.version))

    def find_version(self, name: str, checkpoint_digest: str) -> ModelVersion | None:
        """Return the version that was registered from a checkpoint, if any."""
        versions = self.client.search_model_versions(
            f"name = '{name}' AND tags.`{CHECKPOINT}` = '{checkpoint_digest}'"
        )
        numbers = [int(version.version) for version in versions]
        return self.version(name, min(numbers)) if numbers else None

    def find_trained(self, name: str, training_fingerprint: str) -> ModelVersion | None:
        """Return the first version that came of a training, on whatever machine, if any."""
        runs = self.runs_of_training(training_fingerprint)
        versions = self.client.search_model_versions(f"name = '{name}'") if runs else []
        numbers = [int(version.version) for version in versions if version.run_id in runs]
        return self.version(name, min(numbers)) if numbers else None

    def version(self, name: str, version: int) -> ModelVersion:
        """Return a version with its aliases.

        Raises
        ------
        RegistryError
            If there is no such version, or it was not registered by Holdfast.
        """
        try:
            found = self.client.get_model_version(name, str(version))
        except RegistryError as error:
            if code_of(error) != MISSING:
                raise
            raise _no_such_version(name, version) from error
        if CHECKPOINT not in found.tags:
            raise RegistryError(
                f"version {version} of {name} has no tag {CHECKPOINT}",
                expected="a version that holdfast train registered",
                fix="set register.model_name to a name of Holdfast's own, then: holdfast train",
            )
        return ModelVersion(
            name=name,
            version=version,
            mlflow_run_id=found.run_id,
            model_uri=f"models:/{name}/{version}",
            checkpoint_digest=found.tags[CHECKPOINT],
            aliases=tuple(sorted(found.aliases)),
        )

    def version_by_alias(self, name: str, alias: str) -> ModelVersion | None:
        """Return the version that an alias points to, or ``None``."""
        number = self.aliases(name).get(alias)
        return None if number is None else self.version(name, number)

    def set_alias(self, name: str, alias: str, version: int) -> None:
        """Let an alias point to a version."""
        self.client.set_registered_model_alias(name, alias, str(version))

    def delete_alias(self, name: str, alias: str) -> None:
        """Remove an alias; without one nothing happens."""
        self.client.delete_registered_model_alias(name, alias)

    def tag_version(self, version: ModelVersion, tags: Mapping[str, str]) -> None:
        """Tag a version."""
        for key, value in tags.items():
            self.client.set_model_version_tag(version.name, str(version.version), key, value)

    def describe_version(self, version: ModelVersion, text: str) -> None:
        """Set what the registry shows as the description of a version, cut to what it accepts."""
        self.client.update_model_version(
            version.name, str(version.version), description=text[:_MAX_DESCRIPTION]
        )

    def tag_model(self, name: str, tags: Mapping[str, str]) -> None:
        """Tag a registered model."""
        for key, value in tags.items():
            self.client.set_registered_model_tag(name, key, value)

    def model_tags(self, name: str) -> dict[str, str] | None:
        """Return the tags of a registered model, or ``None`` if it has no version yet."""
        found = self._registered(name)
        return None if found is None else dict(found.tags)

    def aliases(self, name: str) -> dict[str, int]:
        """Return alias -> version of a registered model."""
        found = self._registered(name)
        aliases = {} if found is None else found.aliases
        return {alias: int(number) for alias, number in aliases.items()}

    def version_numbers(self, name: str) -> list[int]:
        """Return the numbers of a model's versions, in order."""
        versions = self.client.search_model_versions(f"name = '{name}'")
        return sorted(int(version.version) for version in versions)

    def version_tags(self, name: str, version: int) -> dict[str, str]:
        """Return the tags of a version."""
        return dict(self.client.get_model_version(name, str(version)).tags)

    def checkpoint_of(self, version: ModelVersion, into: Path) -> Path:
        """Return ``into`` after fetching the version's checkpoint directory there."""
        mlflow = load_mlflow()
        into.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=into.parent) as directory:
            source = self.client.get_model_version_download_uri(version.name, str(version.version))
            with explained(self.tracking_uri):
                fetched = mlflow.artifacts.download_artifacts(
                    artifact_uri=f"{source}/{MODEL_ARTIFACTS}",
                    dst_path=directory,
                    tracking_uri=self.tracking_uri,
                )
            shutil.rmtree(into, ignore_errors=True)  # what an unfinished checkpoint left
            # MLflow keeps the directory under the name that it had where it was made.
            next(Path(fetched).iterdir()).replace(into)
        return into

    def _registered(self, name: str) -> Any:
        """Return MLflow's registered model, or ``None``; a search cannot be told its aliases."""
        if not self.client.search_registered_models(filter_string=f"name = '{name}'"):
            return None
        return self.client.get_registered_model(name)

    def _make_registered_model(self, name: str) -> None:
        try:
            self.client.create_registered_model(name)
        except RegistryError as error:
            if code_of(error) != PRESENT:
                raise


def _no_such_version(name: str, version: int) -> RegistryError:
    return RegistryError(
        f"there is no version {version} of {name}",
        expected="a registered version",
        fix="holdfast ledger log shows the versions; holdfast train makes one",
    )
