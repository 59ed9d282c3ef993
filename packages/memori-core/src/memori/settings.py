"""Settings: keyword arguments, then memori.json, then MEMORI_* in the environment, then the defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    JsonConfigSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from .errors import ConfigurationError
from .model import KINDS

LONGEST_RETENTION = 100_000
"""In days: a moment that lies much further back is before the calendar begins."""


class Settings(BaseSettings):
    """Everything that can be set without code. Times are in seconds."""

    model_config = SettingsConfigDict(
        env_prefix="MEMORI_", json_file="memori.json", extra="ignore", populate_by_name=True
    )

    database_url: str = Field(default="sqlite:///memori.db", repr=False, description="Where memory lives.")
    namespace: str = Field(default="default", description="Separates applications that share a database.")
    embedder: str = Field(default="minilm", description="Which embedder turns text into vectors.")
    extractor: str = Field(default="local", description="Which extractor proposes facts; 'none' keeps only episodes.")
    vector_index: str = Field(default="faiss", description="Which index searches vectors.")
    index_url: str = Field(default="", repr=False, description="Where the server of the vector index is.")
    index_api_key: SecretStr = Field(default=SecretStr(""), description="Its key, where it wants one.")
    index_prefix: str = Field(
        default="memori",
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="Begins the names of collections there; each database has its own.",
    )
    reranker: str = Field(default="", description="Which reranker reorders what recall found; empty for none.")
    migrate: Literal["auto", "check", "off"] = Field(default="auto", description="What to do with an old schema.")
    auto_ingest: bool = Field(default=True, description="Whether registered clients are given what is known.")
    conscious_ingest: bool = Field(
        default=False, description="Whether a conversation begins with what stands out of all that is known."
    )
    retention_days: dict[str, int] | int | None = Field(
        default=None,
        description='Days after which memories expire: a number, or one for each kind as JSON, {"episode": 365}.',
    )
    recall_timeout: float = Field(default=2.0, gt=0, description="A model call waits this long for memory, no longer.")
    token_budget: int = Field(default=250, gt=0, description="Tokens the injected block may take.")
    min_relevance: float = Field(default=0.15, ge=0, le=1, description="Below this score nothing is recalled.")
    inject: Literal["user", "system"] = Field(default="user", description="Where the block goes.")
    drain_timeout: float = Field(default=10.0, ge=0, description="close() and exit wait this long for open jobs.")
    max_attempts: int = Field(default=5, ge=1, description="Tries before a job is dead.")
    lease_seconds: float = Field(
        default=60.0, gt=0, description="Jobs of a worker that died are taken over after so long."
    )
    extraction_timeout: float = Field(
        default=120.0,
        gt=0,
        description="An extractor is given up after so long, and its jobs tried again later.",
    )
    pool_size: int | None = Field(
        default=None,
        ge=1,
        description="Connections kept.",
        validation_alias=AliasChoices("pool_size", "MEMORI_POOL_SIZE"),
    )
    busy_timeout: float = Field(default=20.0, ge=0, description="A write waits this long for a lock.")
    cache_dir: str = Field(
        default="auto",
        description="Where indexes of large entities are kept between processes: a directory, 'auto' for the user's "
        "own cache, 'off' for nowhere. Nothing is kept under a codec, or of a database in memory.",
    )
    index_memory: int = Field(
        default=2048, ge=1, description="Megabytes that the indexes in memory may take; the longest unused goes first."
    )
    llm_base_url: str = Field(
        default="",
        repr=False,
        description="An OpenAI-compatible address that extractor='llm' asks; empty: a registered client.",
    )
    llm_model: str = Field(default="", description="The chat model that extractor='llm' asks.")
    llm_api_key: SecretStr = Field(default=SecretStr(""), description="The key for llm_base_url, where it wants one.")
    llm_timeout: float = Field(default=60.0, gt=0, description="One question to the chat model may take so long.")
    llm_input_price: float = Field(default=0.0, ge=0, description="What a million tokens in cost, for telemetry.")
    llm_output_price: float = Field(default=0.0, ge=0, description="What a million tokens out cost, for telemetry.")
    disabled_plugins: str = Field(default="", description="Comma-separated names of plugins not to load.")

    @field_validator("retention_days")
    @classmethod
    def _retention(cls, days: dict[str, int] | int | None) -> dict[str, int] | int | None:
        named = days if isinstance(days, dict) else {}
        if unknown := sorted(set(named) - set(KINDS)):
            raise ValueError(f"there is no kind {unknown[0]!r}; kinds are {', '.join(KINDS)}")
        given = named.values() if days is None or isinstance(days, dict) else (days,)
        if not all(1 <= one <= LONGEST_RETENTION for one in given):
            raise ValueError(f"days are 1 or more, up to {LONGEST_RETENTION:,}; leave it out to keep everything")
        return days

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources, strongest first."""
        return init_settings, JsonConfigSettingsSource(settings_cls), env_settings


def load(**given: Any) -> Settings:
    """Read the settings. None means not given. Raises `ConfigurationError` naming the setting and where it is from."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigurationError(
            f"Invalid settings ({problems}). They come from keyword arguments, {Path('memori.json').resolve()} "
            "and MEMORI_* environment variables."
        ) from None
    except ValueError as error:
        raise ConfigurationError(f"{Path('memori.json').resolve()} is not valid JSON: {error}") from error
