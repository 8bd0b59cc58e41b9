"""What a model says of itself, for `restore models`: of checkpoints and of exported models alike."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from restore.colorizers.base import VIVIDNESS
from restore.colorizers.loading import find_twin
from restore.colorizers.onnx_model import SUFFIX, OnnxColorModel
from restore.model_files import COMMUNITY_SUFFIXES, find_checkpoint, sha256


@dataclass(frozen=True)
class Description:
    """A model as a user sees it.

    Args:
        kind: `checkpoint` (PyTorch), `onnx` or `community`.
        source_sha256: of the checkpoint that an exported model was made from.
        exported: the exported form that runs instead of a checkpoint on a CPU, where there is a current one.
        size_multiple: what `--size` has to be a multiple of.
        styles: what `--style` can be.
        knows_eras: whether `--era` means something to it.
        knows_doubt: whether it can say how sure it is.
        takes_hints: whether it can be told colours.
        network: architecture, its arguments and the head, as in the checkpoint.
        training: the record that training left.
    """

    name: str
    path: Path
    kind: str
    megabytes: float
    sha256: str
    source_sha256: str | None
    exported: Path | None
    working_size: int
    size_multiple: int
    styles: tuple[str, ...]
    knows_eras: bool
    knows_doubt: bool
    takes_hints: bool
    licence: str
    network: dict[str, Any]
    training: dict[str, Any]

    def as_text(self) -> str:
        """A line for each fact."""
        facts = {
            "name": self.name,
            "file": f"{self.path} ({self.kind}, {self.megabytes:.1f} MB)",
            "sha256": self.sha256,
            "exported from": self.source_sha256,
            "on CPUs": self.exported,
            "working size": f"{self.working_size}; --size takes multiples of {self.size_multiple}",
            "styles": ", ".join(self.styles) or "none",
            "eras": "known: --era works" if self.knows_eras else "not known",
            "doubt": "known: --calm and --confidence work" if self.knows_doubt else "not known",
            "hints": "taken" if self.takes_hints else "not taken",
            "network": json.dumps(self.network),
            "training": json.dumps(self.training),
            "licence": self.licence,
        }
        return "\n".join(f"{fact:14s} {value}" for fact, value in facts.items() if value is not None)


def describe(model: str) -> Description:
    """Describe a model given by name, file or run folder. PyTorch is imported for checkpoints only, which are built and
    filled: what is described can be loaded.

    Raises:
        ModelError: no such model, or a damaged one.
        MissingDependencyError: an ONNX model, and ONNX Runtime is not installed; a community checkpoint, and spandrel
            is not.
    """
    path = find_checkpoint(model)
    if path.suffix.lower() in COMMUNITY_SUFFIXES:
        return _describe_community(path)
    return _describe_onnx(path) if path.suffix.lower() == SUFFIX else _describe_checkpoint(path)


def _describe_onnx(path: Path) -> Description:
    exported = OnnxColorModel(path)
    info = exported.info
    return Description(
        name=info.name,
        path=path,
        kind="onnx",
        megabytes=path.stat().st_size / 1e6,
        sha256=exported.sha256,
        source_sha256=info.source_sha256,
        exported=None,
        working_size=info.working_size,
        size_multiple=info.size_multiple,
        styles=tuple(VIVIDNESS) if info.has_styles else (),
        knows_eras=exported.knows_eras,
        knows_doubt=exported.classes is not None,
        takes_hints=exported.takes_hints,
        licence=info.licence,
        network={key: value for key, value in info.config.items() if key != "working_size"},
        training=info.training,
    )


def _describe_community(path: Path) -> Description:
    from restore.colorizers.community import LICENCE, CommunityColorModel

    model = CommunityColorModel(path)
    return Description(
        name=model.name,
        path=path,
        kind="community",
        megabytes=path.stat().st_size / 1e6,
        sha256=model.sha256,
        source_sha256=None,
        exported=None,
        working_size=model.working_size,
        size_multiple=model.size_multiple,
        styles=(),
        knows_eras=False,
        knows_doubt=False,
        takes_hints=False,
        licence=LICENCE,
        network={"architecture": "DDColor", "tags": model.tags},
        training={},
    )


def _describe_checkpoint(path: Path) -> Description:
    from dataclasses import asdict

    from restore.checkpoint import load_checkpoint
    from restore.networks import ClassesHead

    model, info = load_checkpoint(path)
    return Description(
        name=info.name,
        path=path,
        kind="checkpoint",
        megabytes=path.stat().st_size / 1e6,
        sha256=sha256(path),
        source_sha256=None,
        exported=path.with_suffix(SUFFIX) if find_twin(path) else None,
        working_size=model.config.working_size,
        size_multiple=int(model.generator.input_multiple),  # type: ignore[arg-type]
        styles=tuple(VIVIDNESS) if isinstance(model.head, ClassesHead) else (),
        knows_eras=getattr(model.head, "decodings", None) is not None,
        knows_doubt=isinstance(model.head, ClassesHead),
        takes_hints=model.takes_hints,
        licence=info.licence,
        network={"generator": asdict(model.config.generator), "head": asdict(model.config.head)},
        training=info.training,
    )
