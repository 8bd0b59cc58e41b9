"""Runs on disk: what they recorded, and a list of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from restore.errors import InputError
from train.config import CONFIG_NAME
from train.watch import METRICS_NAME, complete_lines


@dataclass(frozen=True)
class RunRecord:
    """A run's folder and its lines of metrics, in their order."""

    folder: Path
    config: dict[str, Any]
    lines: list[dict[str, Any]]

    @property
    def validations(self) -> list[tuple[int, dict[str, float]]]:
        return [(line["step"], line["validation"]) for line in self.lines if "validation" in line]

    @property
    def best(self) -> tuple[int, dict[str, float]] | None:
        return max(self.validations, key=lambda one: one[1].get("rank", float("-inf")), default=None)

    def curves(self) -> dict[str, tuple[list[int], list[float]]]:
        """Steps and values of every number that was recorded."""
        curves: dict[str, tuple[list[int], list[float]]] = {}
        for line in self.lines:
            for name, value in {**line, **line.get("validation", {})}.items():
                if name not in ("step", "epoch") and isinstance(value, int | float):
                    steps, values = curves.setdefault(name, ([], []))
                    steps.append(line["step"])
                    values.append(value)
        return curves


def read_run(folder: Path) -> RunRecord:
    """
    Raises:
        InputError: no run there, or a damaged one.
    """
    try:
        config = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
        lines = [json.loads(line) for line in complete_lines(folder / METRICS_NAME)]
    except OSError as error:
        raise InputError(f"{folder} is no training run: {CONFIG_NAME} can't be read", "Give a run's folder") from error
    except ValueError as error:
        raise InputError(f"{folder} is a damaged training run: {error}", "Give another run") from error
    return RunRecord(folder, config, lines)


def list_runs(folder: Path) -> None:
    """Print the runs below a folder, the best first.

    Raises:
        InputError: none there.
    """
    from rich.console import Console
    from rich.table import Table

    # Other programs call their files config.json too.
    runs = [
        read_run(path.parent) for path in sorted(folder.rglob(METRICS_NAME)) if path.with_name(CONFIG_NAME).exists()
    ]
    if not runs:
        raise InputError(f"{folder} holds no training runs", "Give the folder that --output names, or one above it")
    runs.sort(key=lambda run: run.best[1].get("rank", float("-inf")) if run.best else float("-inf"), reverse=True)
    table = Table(box=None, header_style="bold")
    for name in ("run", "recipe", "generator", "steps", "best at", "rank", "rebal. AuC", "ab RMSE", "colour %", "PSNR"):
        table.add_column(name, justify="left" if name in ("run", "recipe", "generator") else "right", overflow="fold")
    for run in runs:
        config = run.config
        row = [
            str(run.folder),
            str(config.get("recipe", "?")),
            str(config.get("generator", "?")),
            str(run.lines[-1]["step"] if run.lines else 0),
        ]
        if run.best:
            step, scores = run.best
            row += [
                str(step),
                f"{scores.get('rank', float('nan')):.2f}",
                f"{scores['auc_rebalanced']:.1f} ({scores['auc_rebalanced_gain']:+.1f})",
                f"{scores['ab_rmse']:.2f}",
                f"{scores['colorfulness_percent']:.0f}",
                f"{scores['psnr']:.2f} ({scores['psnr_gain']:+.2f})",
            ]
        table.add_row(*row)
    # A pipe gets whole lines, whatever width it pretends to have.
    Console(width=None if Console().is_terminal else 200).print(table)
    typer.echo("Gains over all-grey in brackets. Rank: docs/training.md. `restore photos --model RUN` takes the best.")
