"""One SQLAlchemy Core backend for every SQL database."""
