"""What a run would do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from restore.errors import InputError
from restore.model_files import find_checkpoint
from restore.options import EngineOptions, PhotoOptions
from restore.photos.done import DoneBefore, settled
from restore.photos.estimate import estimate
from restore.photos.plan import PlannedPhoto, find_roots, plan
from restore.photos.survey import Survey
from restore.report import Record
from restore.threads import processors


def estimate_photos(
    options: PhotoOptions, engine_options: EngineOptions, note: Callable[[str], None]
) -> Iterator[Record]:
    """What `restore_photos` would do, as far as names tell; `done` means would be done. Then time and size are told.
    Nothing is written, no report and no page either.

    Args:
        note: told the estimate.

    Raises:
        InputError, OutputError, UsageError: as `restore_photos`; OutputError also where a disk can't hold the results.
    """
    found = 0
    roots = find_roots(options)
    checkpoint = find_checkpoint(engine_options.model)
    done = DoneBefore(roots, options, engine_options, checkpoint)
    survey = Survey()
    for planned in plan(roots, options):
        record = settled(planned, options, done)
        survey.add(planned, record)
        if isinstance(planned, PlannedPhoto) or planned.failed:
            found += 1
        if isinstance(planned, PlannedPhoto) and record is None:
            record = Record(planned.source, "done", planned.output)
        if record:
            yield record
    if not found:
        raise InputError(f"no photos were found in {', '.join(str(root.source) for root in roots)}")
    if survey.left:
        from restore.colorizers import load_engine  # which imports the runtime

        engine = load_engine(engine_options, callers=options.jobs or processors())
        if options.confidence:
            engine.check_knows_doubt("--confidence")
        expected = estimate(survey, options, lambda: engine, thorough=True)
        note(str(expected))
        expected.check()
