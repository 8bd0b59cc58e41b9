"""What the page is told of its items, as JSON."""

from __future__ import annotations

from typing import Any

from restore.progress import size
from restore.web.desk import Desk
from restore.web.items import Item
from restore.web.words import command
from restore.web.workspace import Session

_SIZES = (128, 160, 192, 224, 256, 320, 384, 512)


def page_facts(desk: Desk, session: Session) -> dict[str, Any]:
    """What is the same for all items."""
    options = desk.options
    return {
        "user": session.user,
        "private": options.is_private,
        "styles": desk.has_styles,
        "eras": desk.knows_eras,
        "doubt": desk.knows_doubt,
        "size": desk.working_size,
        "sizes": [side for side in _SIZES if side != desk.working_size],
        "full": desk.is_full,
        "max_upload": options.max_upload,
    }


def shown(item: Item, place: int | None, desk: Desk) -> dict[str, Any]:
    """One item.

    Args:
        place: how many wait before it; None where it does not wait.
    """
    result, stills = item.result, item.stills
    used = result.settings if result else item.settings
    return {
        "id": item.id,
        "kind": item.kind,
        "name": item.name,
        "size": size(item.size),
        "state": item.state,
        "task": item.task,
        "message": item.message,
        "told": _waiting(place) if item.state == "waiting" else item.told,
        "share": item.share,
        "early": item.early,
        "settings": item.settings.as_json(),
        "stills": stills.number if stills else 0,
        "result": {
            "number": result.number,
            "name": item.download_name,
            "size": size(result.path.stat().st_size) if result.path.exists() else "",
            "kept": result.kept,
            "facts": result.facts,
            "notes": result.notes,
        }
        if result
        else None,
        "command": command(item, used, desk.options.engine),
    }


def _waiting(place: int | None) -> str:
    if not place:
        return "waiting, next in turn"
    return f"waiting, {place} before it"
