"""What a run would do."""

from __future__ import annotations

from collections.abc import Iterator

from restore.errors import InputError
from restore.model_files import find_checkpoint, sha256
from restore.options import EngineOptions, PhotoOptions
from restore.photos.done import DoneBefore, settings_of, settled
from restore.photos.plan import PlannedPhoto, find_roots, plan
from restore.report import Record


def preview(options: PhotoOptions, engine_options: EngineOptions) -> Iterator[Record]:
    """What `restore_photos` would do, as far as names tell; `done` means would be done.

    Raises:
        InputError, OutputError, UsageError: as `restore_photos`.
    """
    found = 0
    roots = find_roots(options)
    checkpoint = find_checkpoint(engine_options.model)
    done = DoneBefore(roots, options, settings_of(options, engine_options, sha256(checkpoint)))
    for planned in plan(roots, options):
        record = settled(planned, options, done)
        if isinstance(planned, PlannedPhoto) or planned.failed:
            found += 1
        if isinstance(planned, PlannedPhoto) and record is None:
            record = Record(planned.source, "done", planned.output)
        if record:
            yield record
    if not found:
        raise InputError(f"no photos were found in {', '.join(str(root.source) for root in roots)}")
