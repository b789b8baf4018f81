"""A thin Trainer: own batches, own loss normalisation, evaluation in dataset order.

Each override answers a behaviour of transformers 5 that would train or report wrongly: heads that
ignore ``num_items_in_batch`` (the gradient grows with the accumulation steps), length grouping that
permutes predictions, a NaN that the log shows as 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import EarlyStoppingCallback

from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.inference.examples_file import ExampleRows
from pipeline_steps.inference.first_token import trim_last_layer
from pipeline_steps.inference.learners.learner import Learner
from pipeline_steps.inference.memory import in_smaller_batches
from pipeline_steps.training import processes
from pipeline_steps.training.arguments import learning_rates
from pipeline_steps.training.data import EncodedDataset
from pipeline_steps.training.objectives.combined import total_loss
from pipeline_steps.training.objectives.parts import PartsSinceLastAsked
from pipeline_steps.training.objectives.step import Objective, Step
from pipeline_steps.training.planned_trainer import PlannedTrainer
from pipeline_steps.training.replaying import plan_batches
from pipeline_steps.training.resume import mark_complete
from pipeline_steps.training.steadiness import Steadiness
from pipeline_steps.training.tuning.rates import Rates, build_optimizer, parameter_groups
from pipeline_steps.training.watch import DivergedError, scale_rates

Listener = Callable[[int, Mapping[str, float]], None]
_FINITE_CHECK_STEPS = 16
_EVALUATION_FACTOR = 4  # without gradients a batch may hold more tokens


class StableTrainer(PlannedTrainer):
    """Fine-tunes with a batch planner, and stops where the loss is no number.

    Parameters
    ----------
    params : FinetuneParams
        Rates, decay, smoothing and budget.
    head_names : set of str
        Names of the parameters that are new and get the head's learning rate.
    problem : Learner
        Loss and validation scores of the problem.
    labels : tuple of str
        What the model can answer.
    valid_examples : ExampleRows
        The validation rows as they were before they were encoded.
    objectives : sequence of Objective
        What is asked beside the loss.
    steady : Steadiness
        Averages of the weights, and the watch over the loss.
    """

    problem: Learner
    train_rows: EncodedDataset

    def __init__(
        self,
        *args: Any,
        params: FinetuneParams,
        head_names: set[str],
        problem: Learner,
        labels: tuple[str, ...],
        valid_examples: ExampleRows,
        steady: Steadiness,
        objectives: Sequence[Objective] = (),
        **kwargs: Any,
    ) -> None:
        trim_last_layer(kwargs["model"])
        planner = plan_batches(kwargs["train_dataset"], params)
        super().__init__(*args, planner=planner, **kwargs)
        self.listener: Listener | None = None
        self.problem = problem
        self.labels = labels
        self.valid_examples = valid_examples
        self.objectives = objectives
        self.parts = PartsSinceLastAsked()
        self.steady = steady
        self.valid_loss = 0.0
        self.params = params
        self.head_names = head_names
        self.valid_rows: EncodedDataset = kwargs["eval_dataset"]
        for callback in steady.callbacks:
            self.add_callback(callback)
        if params.early_stopping_patience is not None:
            self.add_callback(EarlyStoppingCallback(params.early_stopping_patience))

    def compute_loss(  # type: ignore[override]
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: int | None = None,
    ) -> Any:
        """Return the loss of one batch as its share of the step.

        Columns that end in ``_logits`` are for the objectives, not for the model.
        """
        extra = {name: inputs[name] for name in inputs if name.endswith("_logits")}
        asked = {n: value for n, value in inputs.items() if n not in ("labels", *extra)}
        labels = inputs["labels"]
        n_items = num_items_in_batch or self.problem.n_items(labels)
        mine = getattr(self, "current_gradient_accumulation_steps", 1)
        n_batches = mine * processes.n_processes()
        step = Step(model, asked, labels, self.problem, n_items, extra=extra, n_batches=n_batches)
        found = total_loss(step, self.objectives)
        if self.objectives:
            self.parts.add(found.parts, self.state.global_step)
        total = found.total * processes.n_processes()  # their gradients are averaged
        return (total, step.outputs) if return_outputs else total

    def training_step(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Return the loss of one batch, which is run in parts if the memory ran out before.

        Raises
        ------
        TrainingError
            If it is not finite and nobody watches. On an accelerator that is asked every 16 steps,
            to keep it busy.
        """
        losses = []
        parts = self.steady.parts.of(inputs)
        n_batches = getattr(self, "current_gradient_accumulation_steps", 1)
        self.current_gradient_accumulation_steps = n_batches * len(parts)
        for part in parts:
            part_loss = super().training_step(model, part, num_items_in_batch)
            losses.append(part_loss)
        self.current_gradient_accumulation_steps = n_batches
        self._push_apart(inputs, num_items_in_batch)
        loss = losses[0] if len(losses) == 1 else torch.stack(losses).sum()
        loss = processes.averaged(loss)
        if self.steady.watch is not None:
            self.steady.watch.add(loss)
        elif loss.device.type == "cpu" or self.state.global_step % _FINITE_CHECK_STEPS == 0:
            self._refuse_divergence(loss)
        return loss

    def _push_apart(self, inputs: dict[str, Any], n_items: torch.Tensor | int | None) -> None:
        """Add the gradient of what adaptive ranks ask of their vectors, by the batch's share."""
        penalty = self.steady.penalty()
        if penalty is not None:
            own = self.problem.n_items(inputs["labels"])
            self.accelerator.backward(own / (n_items or own) * penalty)

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """Return the chosen optimizer; the head, and each layer, have rates of their own."""
        if self.optimizer is None:
            body, head = learning_rates(self.params)
            factor = self.steady.rate_factor
            rates = Rates(
                body * factor, head * factor, self.params.layer_decay, self.params.weight_decay
            )
            module: torch.nn.Module = model or self.model  # type: ignore[assignment]
            groups = parameter_groups(module.named_parameters(), self.head_names, rates)
            self.optimizer = build_optimizer(self.params.optimizer, groups)
        return self.optimizer

    def evaluate(self, *_: Any, metric_key_prefix: str = "eval", **__: Any) -> dict[str, float]:
        """Return loss and headline metrics of the validation rows."""
        model: torch.nn.Module = self.model  # type: ignore[assignment]
        with self.steady.validated_weights():
            scores = self.scores_of_all(model)
        self.valid_loss = scores["loss"]
        parts = processes.added_up(self.parts.means(self.state.global_step), self.args.device)
        scores |= {f"train_{name}": value for name, value in parts.items()}
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in scores.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        if self.listener is not None:
            self.listener(sum("eval_loss" in entry for entry in self.state.log_history), scores)
        return metrics

    def scores_of_all(self, model: torch.nn.Module) -> dict[str, float]:
        """Return the scores on the validation rows, which the leader computes, in every process."""
        return processes.led(lambda: self.scores(model))

    def learning_weights(self) -> Iterable[torch.Tensor]:
        """Return what must be finite before a checkpoint is written."""
        return self.steady.model.parameters()

    def scores(self, model: torch.nn.Module) -> dict[str, float]:
        """Return loss and headline metrics of a model on the validation rows."""
        encoded, pad_id = self.valid_rows.encoded, self.collator.pad_id
        asked = _EVALUATION_FACTOR * self.params.batch_tokens // self.steady.parts.n_parts
        outputs = in_smaller_batches(
            lambda n: self.problem.run(model.eval(), encoded, pad_id, n, len(self.labels)), asked
        )
        return self.scores_of(outputs)

    def scores_of(self, outputs: Any) -> dict[str, float]:
        """Return loss and headline metrics of outputs on the validation rows."""
        encoded = self.valid_rows.encoded
        return self.problem.validation_scores(
            outputs, encoded, self.valid_rows.labels, self.valid_examples, self.labels
        )

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        step = self.state.global_step
        if self.steady.watch is None:
            self._refuse_divergence(self._tr_loss)
        else:
            self.steady.watch.before_checkpoint(step, self.learning_weights(), self.valid_loss)
        super()._save_checkpoint(*args, **kwargs)
        checkpoint = Path(str(self.args.output_dir)) / f"checkpoint-{step}"
        processes.wait_for_all()  # each has written where its random numbers stand
        processes.led(lambda: self._complete(checkpoint))

    def _complete(self, checkpoint: Path) -> None:
        self.steady.save(checkpoint)
        mark_complete(checkpoint)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        self._load_model(resume_from_checkpoint, model)
        self.steady.load(Path(resume_from_checkpoint))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        self._load_steps(checkpoint)
        if self.steady.rate_change != 1.0:
            scale_rates(self.optimizer, self.lr_scheduler, self.steady.rate_change)

    def _load_model(self, checkpoint: str, model: Any) -> None:
        super()._load_from_checkpoint(checkpoint, model)

    def _load_steps(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)

    def _refuse_divergence(self, loss: torch.Tensor) -> None:
        if not math.isfinite(float(loss)):
            raise DivergedError(
                f"the loss is {float(loss)} at step {self.state.global_step}",
                expected="a finite loss",
                fix="lower finetune.learning_rate, or set finetune.precision to fp32",
            )
