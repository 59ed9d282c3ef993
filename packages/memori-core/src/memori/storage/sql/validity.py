"""When a fact held in the world."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, func, or_

from ..values import to_micros
from .schema import fact


def valid_at(moment: datetime) -> list[ColumnElement[bool]]:
    """Conditions on the fact table: not yet over at that moment, and begun, or said where nothing else is known."""
    f, at = fact.c, to_micros(moment)
    began = or_(f.valid_from <= at, f.valid_from.is_(None) & (func.coalesce(f.said_at, f.created_at) <= at))
    return [began, or_(f.valid_to.is_(None), f.valid_to > at)]
