# Every target sets up what it needs. uv is installed with pip where it is missing.

.DEFAULT_GOAL := help
SHELL := bash
UV = $(shell command -v uv || echo python3 -m uv)
RUN = $(UV) run --locked
PACKAGES = memori-core memori-langchain memori-pydantic-ai memori-llamaindex
CODE = packages examples benchmarks tests .ci

.PHONY: help uv install demo format check test coverage langchain pydanticai llamaindex isolated build bench audit

help: ## Show this help
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

uv:
	@command -v uv >/dev/null || python3 -m uv --version >/dev/null 2>&1 || python3 -m pip install --quiet uv

install: uv ## Set up the environment
	@$(UV) sync --locked --quiet

demo: install ## Show what Memori does: no key, no network
	@$(RUN) memori demo

format: install ## Rewrite the code as the formatter wants it
	$(RUN) ruff check --fix $(CODE)
	$(RUN) ruff format $(CODE)

check: install ## Style, types, layering, security
	$(RUN) ruff check $(CODE)
	$(RUN) ruff format --check $(CODE)
	$(RUN) mypy packages examples benchmarks .ci tests/pydantic_ai/test_typing.py
	$(RUN) python .ci/typed_examples.py
	$(RUN) lint-imports --no-logo
	$(RUN) bandit --quiet --configfile pyproject.toml --recursive packages

ALL_TESTS = pytest --numprocesses auto --maxprocesses 4 --dist loadfile
test: install ## All tests
	$(RUN) $(ALL_TESTS)

coverage: install ## All tests, with a floor for branch coverage; takes a third longer
	$(RUN) $(ALL_TESTS) --cov

VERSIONS ?= lowest-direct
WITH_LANGCHAIN = .venv-langchain-$(VERSIONS)
langchain: uv ## Test with the oldest LangChain that is allowed; VERSIONS=highest: with the newest
	@$(UV) venv --quiet --clear $(WITH_LANGCHAIN)
	@$(UV) pip install --quiet --python $(WITH_LANGCHAIN) \
		'memori-core[anthropic,conformance,google,openai] @ ./packages/memori-core' 'pytest>=8.4' 'pytest-asyncio>=1.1' 'pytest-timeout>=2.4'
	@$(UV) pip install --quiet --python $(WITH_LANGCHAIN) --resolution $(VERSIONS) \
		-r packages/memori-langchain/pyproject.toml --extra agents 'memori-langchain @ ./packages/memori-langchain' \
		'langchain-openai>=1.7' 'langchain-tests>=1.1.9' 'langmem>=0.0.30'
	@$(WITH_LANGCHAIN)/bin/python -m pytest -q tests/langchain

WITH_PYDANTIC_AI = .venv-pydantic-ai-$(VERSIONS)
pydanticai: uv ## Test with the oldest Pydantic AI that is allowed; VERSIONS=highest: with the newest
	@$(UV) venv --quiet --clear $(WITH_PYDANTIC_AI)
	@$(UV) pip install --quiet --python $(WITH_PYDANTIC_AI) \
		'memori-core[anthropic,conformance,google,openai] @ ./packages/memori-core' 'pytest>=8.4' 'pytest-asyncio>=1.1' 'pytest-timeout>=2.4'
	@$(UV) pip install --quiet --python $(WITH_PYDANTIC_AI) --resolution $(VERSIONS) \
		-r packages/memori-pydantic-ai/pyproject.toml 'memori-pydantic-ai @ ./packages/memori-pydantic-ai' \
		'pydantic-ai-slim[anthropic,dbos,openai]'
	@$(WITH_PYDANTIC_AI)/bin/python -m pytest -q tests/pydantic_ai

WITH_LLAMAINDEX = .venv-llamaindex-$(VERSIONS)
llamaindex: uv ## Test with the oldest LlamaIndex that is allowed; VERSIONS=highest: with the newest
	@$(UV) venv --quiet --clear $(WITH_LLAMAINDEX)
	@$(UV) pip install --quiet --python $(WITH_LLAMAINDEX) \
		'memori-core[anthropic,conformance,google,openai] @ ./packages/memori-core' 'pytest>=8.4' 'pytest-asyncio>=1.1' 'pytest-timeout>=2.4'
	@$(UV) pip install --quiet --python $(WITH_LLAMAINDEX) --resolution $(VERSIONS) \
		-r packages/memori-llamaindex/pyproject.toml 'memori-llamaindex @ ./packages/memori-llamaindex'
	@$(WITH_LLAMAINDEX)/bin/python -m pytest -q tests/llamaindex

isolated: uv ## Import each package with nothing but its own dependencies
	@for package in $(PACKAGES); do \
		module=$${package//-/_}; [ $$package = memori-core ] && module=memori; \
		echo "$$package: import memori, $$module"; \
		$(UV) run --locked --quiet --isolated --package $$package --no-default-groups \
			python -c "import memori, $$module" || exit 1; \
	done

build: uv ## Build every wheel and source distribution into dist/
	$(UV) build --quiet --all-packages

bench: install ## Measure; LOCOMO=dir adds the retrieval benchmark
	$(RUN) python -m benchmarks.import_time
	$(if $(LOCOMO),$(RUN) python -m benchmarks.locomo --data $(LOCOMO))

audit: install ## Look for known vulnerabilities in what is installed
	@$(RUN) python .ci/audit.py
