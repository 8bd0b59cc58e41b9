"""A run's curves as a picture."""

from __future__ import annotations

from pathlib import Path

from restore.errors import InputError, MissingDependencyError
from restore.files import write_atomically
from train.runs import RunRecord, read_run

_PANELS = (
    ("loss of the generator", ("loss", "loss_G", "loss_G_L1", "loss_G_GAN", "loss_G_feature", "loss_G_color")),
    ("loss of the discriminator", ("loss_D", "loss_D_real", "loss_D_fake")),
    ("learning rate", ("lr", "lr_discriminator")),
    ("rank (held out)", ("rank",)),
    ("gain in rebalanced AuC, points", ("auc_rebalanced_gain",)),
    ("ab RMSE, Lab units", ("ab_rmse", "ab_rmse_grey")),
    ("colourfulness, % of the originals'", ("colorfulness_percent",)),
    ("gain in PSNR, dB", ("psnr_gain",)),
    ("images per second", ("images_per_second",)),
)
_COLUMNS = 3


def plot_run(folder: Path) -> Path:
    """Draw losses, rates and held-out metrics over steps; returns the PNG's path, `curves.png` in the run.

    Raises:
        InputError: no run, or one that has recorded nothing yet.
        MissingDependencyError: matplotlib is not installed.
        OutputError: the picture can't be written.
    """
    run = read_run(folder)
    curves = run.curves()
    if not curves:
        raise InputError(f"run {folder} has recorded nothing yet", "Wait for its first lines in metrics.jsonl")
    panels = [(title, [name for name in names if name in curves]) for title, names in _PANELS]
    panels = [(title, names) for title, names in panels if names]
    path = folder / "curves.png"
    write_atomically(path, lambda stream: stream.write(_draw(run, curves, panels)))
    return path


def _draw(
    run: RunRecord, curves: dict[str, tuple[list[int], list[float]]], panels: list[tuple[str, list[str]]]
) -> bytes:
    import io

    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            "--plot needs the package matplotlib", "Install the extra: pip install 'restore-color[train]'"
        ) from error
    rows = -(-len(panels) // _COLUMNS)
    figure = Figure(figsize=(5 * _COLUMNS, 3 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for place, (title, names) in enumerate(panels, start=1):
        axes = figure.add_subplot(rows, _COLUMNS, place)
        for name in names:
            steps, values = curves[name]
            axes.plot(steps, values, label=name, linewidth=1, marker="." if len(steps) < 40 else None)
        if len(names) > 1:
            axes.legend(fontsize="small")
        axes.set_title(title, fontsize="medium")
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
    figure.suptitle(f"{run.folder.name}: {run.config['recipe']}, {run.config['generator']}")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=100)
    return content.getvalue()
