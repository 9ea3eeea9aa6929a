"""The progress bar of a training run: step, loss, and after each epoch the validation figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tallystick.training.finetune import Epoch, Step


@contextmanager
def training_progress(console: Console) -> Iterator[tuple[Callable[[Step], object], Callable[[Epoch], object]]]:
    """The two callbacks of `finetune`."""
    columns = (
        TextColumn("fine-tuning"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("preparing", total=None)

        def on_step(step: Step) -> None:
            progress.update(task, completed=step.done, total=step.total, description=f"loss {step.loss:.3f}")

        def on_epoch(epoch: Epoch) -> None:
            progress.console.print(
                f"epoch {epoch.number}: loss {epoch.loss:.3f}, validation loss {epoch.validation_loss:.3f}, "
                f"validation accuracy {epoch.validation_accuracy:.3f}, {epoch.rows_per_second:.0f} texts/s"
            )

        yield on_step, on_epoch
