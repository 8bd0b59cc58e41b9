"""Public data sets by name: where they lie under the data root, and how to get them where they do not."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from restore.errors import InputError
from restore.sources import PhotoSource, open_source


@dataclass(frozen=True)
class _DataSet:
    """
    Args:
        folders: where under the root its training pictures may lie, the first that is there is taken.
        val: likewise for pictures of the publisher's own validation part; () where it has none.
        how: what to download, and on which terms.
    """

    folders: tuple[str, ...]
    val: tuple[str, ...]
    how: str


_TERMS = "its terms have to be accepted there by hand"
DATASETS: dict[str, _DataSet] = {
    "imagenet": _DataSet(
        ("ILSVRC/Data/CLS-LOC/train", "imagenet/ILSVRC/Data/CLS-LOC/train", "imagenet/train", "imagenet"),
        ("ILSVRC/Data/CLS-LOC/val", "imagenet/ILSVRC/Data/CLS-LOC/val", "imagenet/val"),
        "ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar from https://image-net.org/download, or the object "
        f"localisation challenge (ILSVRC/) from https://kaggle.com/c/imagenet-object-localization-challenge; {_TERMS}",
    ),
    "places205": _DataSet(
        ("places205/train", "places205"),
        ("places205/val",),
        f"Places205 (resized images) from http://places.csail.mit.edu/downloadData.html; {_TERMS}",
    ),
    "places365": _DataSet(
        ("places365/data_256_standard", "places365/data_large_standard", "places365/train", "places365"),
        ("places365/val_256", "places365/val_large", "places365/val"),
        "train_256_places365standard.tar and val_256.tar from http://places2.csail.mit.edu/download.html, unpacked",
    ),
    "coco": _DataSet(
        ("coco/train2017", "train2017", "coco"),
        ("coco/val2017", "val2017"),
        "train2017.zip and val2017.zip from https://cocodataset.org/#download, unpacked",
    ),
    "coco-sample": _DataSet(
        ("coco-sample", "coco_sample/train_sample", "coco_sample"),
        (),
        "coco_sample.tgz (3 GB, 21,837 pictures) from https://s3.amazonaws.com/fast-ai-coco/coco_sample.tgz, unpacked",
    ),
    "landscapes": _DataSet(
        ("landscapes",),
        (),
        "the landscape pictures (4,319) from https://www.kaggle.com/datasets/arnaud58/landscape-pictures, unpacked; "
        "it takes an account there",
    ),
}

_ARCHIVES = {"": ("ILSVRC2012_img_train.tar", "imagenet/ILSVRC2012_img_train.tar"),
             "val": ("ILSVRC2012_img_val.tar", "imagenet/ILSVRC2012_img_val.tar")}  # fmt: skip


def open_data(name: str, root: Path) -> PhotoSource:
    """The pictures that `--data` names: a path, or a data set under `root`. A path that exists wins.

    Raises:
        InputError: nothing there; for a data set, with what to download and where to put it.
    """
    path = Path(name).expanduser()
    if path.exists() or name not in DATASETS:
        return open_source(path)
    dataset = DATASETS[name]
    found = _first(root, dataset.folders)
    if name == "imagenet" and (archive := _first(root, _ARCHIVES[""])) and not _first(root, dataset.folders[:3]):
        return open_source(_unpacked(archive, root / "imagenet" / "train"))
    if found is None:
        raise InputError(
            f"data set {name} is not under {root} (--data-root)",
            f"Download {dataset.how}; put it at {root / dataset.folders[0]}",
        )
    return open_source(found)


def own_validation(name: str, root: Path) -> PhotoSource | None:
    """The publisher's own validation part of a data set given by name, where it is there."""
    if Path(name).expanduser().exists() or name not in DATASETS:
        return None
    found = _first(root, DATASETS[name].val)
    if found is None and name == "imagenet":
        found = _first(root, _ARCHIVES["val"])
    return open_source(found) if found else None


def _first(root: Path, places: tuple[str, ...]) -> Path | None:
    return next((root / place for place in places if (root / place).exists()), None)


def _unpacked(archive: Path, folder: Path, say: Callable[[str], None] = lambda text: None) -> Path:
    """torchvision's archive of training pictures, which holds a tar for each class: those become shards of `folder`.

    Each member is copied under a hidden name and renamed, so that what a stop leaves is gone on with.
    """
    from restore.files import open_atomically

    try:
        with tarfile.open(archive, "r:") as tar:
            for member in tar:
                target = folder / Path(member.name).name
                if not member.isreg() or target.suffix != ".tar":
                    continue
                if target.exists() and target.stat().st_size == member.size:
                    continue
                source = tar.extractfile(member)
                assert source is not None, "a regular member"
                with open_atomically(target) as stream:
                    while block := source.read(1 << 20):
                        stream.write(block)
    except (OSError, tarfile.TarError) as error:
        raise InputError(f"{archive} can't be unpacked: {error}", "Download it again") from error
    return folder
