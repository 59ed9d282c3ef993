"""Whose memory a component is about and where it lives: plain configuration, so that it can be saved anywhere."""

from __future__ import annotations

from typing import Self

from memori import Attribution, Memori
from pydantic import BaseModel, Field, field_validator, model_validator

from .connections import DEFAULT, check_name, connected


class Identified(BaseModel):
    """A component of one person. `connection` names the Memori object it works with; see `register`.

    None of these can be changed later, and none is ever made up. Raises `pydantic.ValidationError`.
    """

    entity_id: str = Field(frozen=True)
    process_id: str | None = Field(default=None, frozen=True)
    connection: str = Field(default=DEFAULT, frozen=True)

    @field_validator("connection")
    @classmethod
    def _check_connection(cls, connection: str) -> str:
        return check_name(connection)

    @model_validator(mode="after")
    def _check_identity(self) -> Self:
        Attribution(self.entity_id, self.process_id)
        return self

    @property
    def attribution(self) -> Attribution:
        """Whose memory this is; passed explicitly to every call."""
        return Attribution(self.entity_id, self.process_id)

    def _core(self) -> Memori:
        return connected(self.connection)


def check_session(session_id: str) -> str:
    """Return `session_id` if a session can be called that. Raises `InvalidAttributionError`, a `ValueError`."""
    Attribution("-", session_id=session_id)
    return session_id
