"""A file of `restore` imports from lower layers and from its own folder only; `train` from layers 0 to 2."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Lowest first; within a layer of docs/architecture.md, what others of it build on comes before them.
TIERS = (
    ("errors", ""),  # "" is restore/__init__.py: the version, and the face by way of __getattr__
    ("options",),
    ("borders", "decoding", "era", "matrix", "memory", "model_files", "view"),
    ("files", "progress", "stopping", "threads", "tone", "plausibility", "resize", "soft_labels"),
    ("color", "framing"),
    ("walk", "hints"),
    ("networks",),
    ("checkpoint",),
    ("colorizers", "cross_entropy", "frechet", "merge", "metrics", "sources", "sheet"),
    ("heatmap", "calibration", "film_hue", "stills"),
    ("report", "film_metrics", "hint_metrics"),
    ("measures",),
    ("photos", "video", "evaluate"),
    ("evaluate_film",),
    ("api",),
    ("web",),
    ("cli",),
    ("__main__",),
)
LAYERS = {name: tier for tier, names in enumerate(TIERS) for name in names}
# Files that are the face: they name what lies above them, for type checkers and lazily.
LAZY = {"restore/__init__.py": {"restore.api", "restore.hints"}, "train/__main__.py": {"restore.cli"}}
TRAIN_MAY = LAYERS["stills"]
SOURCES = sorted([*(ROOT / "restore").rglob("*.py"), *(ROOT / "train").rglob("*.py")])


def imported(path: Path) -> set[str]:
    """Modules of this project that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            # `from restore import files` names a module, `from restore import __version__` does not.
            names |= (
                {module}
                if module not in ("restore", "train")
                else {
                    f"{module}.{alias.name}" if (ROOT / module / f"{alias.name}.py").exists() else module
                    for alias in node.names
                }
            )
    return {name for name in names if name.split(".")[0] in ("restore", "train")}


def unit(module: str) -> str:
    """The layer's name of a module: restore.photos.plan is in photos."""
    return module.split(".")[1] if "." in module else ""


def violations(path: Path) -> list[str]:
    relative = path.relative_to(ROOT).as_posix()
    own = unit(relative.removesuffix(".py").replace("/__init__", "").replace("/", "."))
    found = []
    for module in sorted(imported(path) - LAZY.get(relative, set())):
        package, target = module.split(".")[0], unit(module)
        if relative.startswith("restore/"):
            if package == "train":
                allowed = relative == "restore/cli/train.py"
            else:
                allowed = target == own or LAYERS[target] < LAYERS[own]
        else:
            allowed = package == "train" or LAYERS[target] <= TRAIN_MAY
        if not allowed:
            found.append(f"{relative} imports {module}")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_go_down(path: Path) -> None:
    assert violations(path) == []


def test_train_command_imports_training_lazily() -> None:
    tree = ast.parse((ROOT / "restore" / "cli" / "train.py").read_text())
    top = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert not [node.module for node in top if node.module and node.module.split(".")[0] == "train"]


def test_the_check_can_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.contract.test_layers.ROOT", tmp_path)
    bad = tmp_path / "restore" / "color.py"
    bad.parent.mkdir()
    bad.write_text(
        "from restore.photos.plan import plan\nimport train.config\nfrom restore.errors import RestoreError\n"
    )
    assert violations(bad) == ["restore/color.py imports restore.photos.plan", "restore/color.py imports train.config"]
