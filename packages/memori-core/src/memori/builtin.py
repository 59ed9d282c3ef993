"""Memori's own providers, registered through the same hooks as a third party's."""

from __future__ import annotations

from collections.abc import Iterable

from .hookspecs import CALLABLE, Provider, hookimpl


@hookimpl
def memori_storages() -> Iterable[Provider]:
    """SQL databases through SQLAlchemy, DB-API connections or Django; MongoDB through pymongo."""
    return [
        Provider(
            "sqlalchemy",
            "memori.storage.sql.storage:SQLStorage",
            install="pip install memori-core",
            matches=(
                "sqlite",
                "postgresql",
                "postgres",
                "mysql",
                "mariadb",
                "cockroachdb",
                "cockroach",
                "oracle",
                "tidb",
                "oceanbase",
                "sqlalchemy.",
            ),
        ),
        Provider(
            "dbapi",
            "memori.storage.dbapi:DBAPIStorage",
            install="pip install memori-core",
            # A connection itself is recognised to be refused: the error says how to pass a function instead.
            matches=(
                "sqlite3.",
                "psycopg.",
                "psycopg2.",
                "pg8000.",
                "pymysql.",
                "MySQLdb.",
                "mysql.connector.",
                "mariadb.",
                "oracledb.",
                CALLABLE,
            ),
        ),
        Provider(
            "django",
            "memori.storage.django.storage:DjangoStorage",
            install="pip install 'memori-core[django]'",
            matches=("django.",),
        ),
        Provider(
            "mongodb",
            "memori.storage.mongodb.storage:MongoStorage",
            install="pip install 'memori-core[mongodb]'",
            matches=("mongodb", "pymongo."),
        ),
    ]


@hookimpl
def memori_embedders() -> Iterable[Provider]:
    """The default model, one that needs none, and those of other libraries and services."""
    return [
        Provider("minilm", "memori.embedding.onnx:MiniLMEmbedder", install="pip install memori-core"),
        Provider("hashing", "memori.embedding.hashing:HashingEmbedder"),
        Provider(
            "cohere",
            "memori.embedding.cohere:CohereEmbedder",
            install="pip install 'memori-core[cohere]'",
        ),
        Provider(
            "huggingface",
            "memori.embedding.huggingface:HuggingFaceEmbedder",
            install="pip install 'memori-core[huggingface]'",
        ),
        Provider(
            "ollama",
            "memori.embedding.ollama:OllamaEmbedder",
            install="pip install 'memori-core[ollama]'",
        ),
        Provider(
            "openai",
            "memori.embedding.openai:OpenAIEmbedder",
            install="pip install 'memori-core[openai]'",
        ),
        Provider(
            "sentence-transformers",
            "memori.embedding.sentence_transformers:SentenceTransformersEmbedder",
            install="pip install 'memori-core[sentence-transformers]'",
        ),
    ]


@hookimpl
def memori_extractors() -> Iterable[Provider]:
    """Local extraction, that of a chat model, and none at all."""
    return [
        Provider("llm", "memori.augmentation.extraction.llm:LLMExtractor"),
        Provider("local", "memori.augmentation.extraction.local:LocalExtractor", install="pip install memori-core"),
        Provider("none", "memori.augmentation.extraction.none:NoExtractor"),
    ]


@hookimpl
def memori_vector_indexes() -> Iterable[Provider]:
    """FAISS in this process; pgvector in PostgreSQL and Qdrant, shared by all processes."""
    return [
        Provider("faiss", "memori.recall.index.faiss:FaissIndex", install="pip install memori-core"),
        Provider(
            "pgvector",
            "memori.storage.sql.pgvector:PgvectorIndex",
            install="pip install 'memori-core[postgresql]'",
            shared=True,
        ),
        Provider(
            "qdrant",
            "memori.recall.index.qdrant:QdrantIndex",
            install="pip install 'memori-core[qdrant]'",
            shared=True,
        ),
    ]


@hookimpl
def memori_llm_adapters() -> Iterable[Provider]:
    """LLM clients that can be registered."""
    return [
        Provider(
            "anthropic",
            "memori.llm.adapters.anthropic:AnthropicAdapter",
            install="pip install 'memori-core[anthropic]'",
            matches=("anthropic.",),
        ),
        Provider(
            "bedrock",
            "memori.llm.adapters.bedrock:BedrockAdapter",
            install="pip install 'memori-core[bedrock]'",
            matches=("botocore.client.",),
        ),
        Provider(
            "google",
            "memori.llm.adapters.google:GoogleAdapter",
            install="pip install 'memori-core[google]'",
            matches=("google.genai.",),
        ),
        Provider(
            "langchain",
            "memori.llm.adapters.langchain:LangChainAdapter",
            install="pip install memori-langchain",
            matches=("langchain_core.language_models.",),
        ),
        Provider(
            "llamaindex",
            "memori.llm.adapters.llamaindex:LlamaIndexAdapter",
            install="pip install memori-llamaindex",
            matches=("llama_index.core.",),
        ),
        Provider(
            "litellm",
            "memori.llm.adapters.litellm:LiteLLMAdapter",
            install="pip install 'memori-core[litellm]'",
            matches=("litellm.",),
        ),
        Provider(
            "openai",
            "memori.llm.adapters.openai:OpenAIAdapter",
            install="pip install 'memori-core[openai]'",
            matches=("openai.",),
        ),
        Provider(
            "pydantic-ai",
            "memori.llm.adapters.pydantic_ai:PydanticAIAdapter",
            install="pip install memori-pydantic-ai",
            matches=("pydantic_ai.",),
        ),
        Provider(
            "xai",
            "memori.llm.adapters.xai:XAIAdapter",
            install="pip install 'memori-core[xai]'",
            matches=("xai_sdk.",),
        ),
    ]
