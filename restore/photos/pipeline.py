"""Colouring photos: plan → read → guess in batches → write. The composition stands in `_colour`."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from restore.checkpoint import find_checkpoint
from restore.colorizers import Engine, load_engine
from restore.errors import InputError, RestoreError
from restore.files import check_writable, is_disk_full, remove_stale_parts
from restore.merge import shrink_luma, small_chroma
from restore.options import EngineOptions, PhotoOptions
from restore.photos.containers import BY_FORMAT, Container
from restore.photos.plan import PassedOver, Planned, PlannedPhoto, Root, find_roots, plan
from restore.photos.reading import Photo, Plane, read_photo, several_pictures
from restore.photos.writing import copy_as_is, encode, flatten, write_bytes
from restore.progress import Progress, SilentProgress
from restore.report import STATUSES, Record, ReportWriter, Summary, open_report
from restore.workers import processors

FloatArray = npt.NDArray[np.float32]
ALREADY_DONE = "already done"
