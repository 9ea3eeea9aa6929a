"""What a training run found out: written beside the model folder, shown in the terminal, told in the model card."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tallystick.training.duplicates import NearDuplicate
from tallystick.training.evaluate import Evaluation
from tallystick.training.finetune import Epoch


@dataclass(frozen=True)
class Mistake:
    """A held-out row that the model got wrong."""

    text: str
    label: str
    predicted: str


@dataclass(frozen=True)
class TrainingReport:
    """Figures of one run. `seconds` is all of it, from reading the recipe to the checked folder."""

    folder: Path
    manifest_hash: bytes
    seed: int
    train_rows: int
    validation_rows: int
    near_duplicates: tuple[NearDuplicate, ...]
    epochs: tuple[Epoch, ...]
    best_epoch: int
    heldout: Evaluation
    baseline: Evaluation
    mistakes: tuple[Mistake, ...]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; shares as numbers, the folder as its name."""
        values = dataclasses.asdict(self)
        return {**values, "folder": self.folder.name, "manifest_hash": "0x" + self.manifest_hash.hex()}


def report_path(folder: Path) -> Path:
    """Beside the model folder, which may hold nothing but the model."""
    return folder.with_name(folder.name + ".report.json")


def write_report(report: TrainingReport) -> None:
    path = report_path(report.folder)
    draft = path.with_name(path.name + ".tmp")
    draft.write_text(json.dumps(report.to_dict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(path)


def show_report(report: TrainingReport, console: Console) -> None:
    """The table of labels, and the figures that sum it up."""
    table = Table(title=f"Held-out set, {report.heldout.rows} texts that nothing was chosen on")
    for heading in ("label", "precision", "recall", "F1", "texts"):
        table.add_column(heading, justify="left" if heading == "label" else "right")
    for score in report.heldout.labels:
        shares = (f"{value:.3f}" for value in (score.precision, score.recall, score.f1))
        table.add_row(score.label, *shares, str(score.support))
    console.print(table)
    console.print(
        f"accuracy {report.heldout.accuracy:.4f}, macro-F1 {report.heldout.macro_f1:.4f}; "
        f"TF-IDF and logistic regression: {report.baseline.accuracy:.4f}; {report.seconds:.0f} s in all"
    )
