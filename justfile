# Recipes run in the checkout's own environment; `just setup` makes it.
set shell := ["bash", "-euo", "pipefail", "-c"]
export PATH := justfile_directory() / ".venv/bin:" + env("PATH")

# list the recipes
default:
    @just --list --unsorted

# make .venv with everything that development needs
setup:
    python3 -m venv .venv
    .venv/bin/pip install -q -c constraints.txt -e ".[hf,dev]"

# everything that CI checks
check: format lint types layers test property

# formatting is as ruff writes it
format:
    ruff format --check .

# lint, docstrings included
lint:
    ruff check .

# mypy --strict over src, tests and property_tests
types:
    mypy

# core imports nothing that acts; arrows point one way
layers:
    lint-imports

# unit tests
test *args:
    pytest tests {{ args }}

# laws, with Hypothesis; PROFILE is fast, ci or thorough
property profile="ci" *args:
    HYPOTHESIS_PROFILE={{ profile }} pytest property_tests {{ args }}

# path, floor and peer in one run, as ratios
bench *args:
    python -m benchmarks {{ args }}

# score the monitor on real logs with labels: precision, recall, misses
labels:
    python -m benchmarks.labels

# regenerate docs/cli.md, docs/rules/ and the other generated pages from the code
docs:
    python -m docs.generate

# train, check, monitor and audit a tiny model
demo *args:
    gradience demo {{ args }}

# the version in the package and on top of the changelog agree
verify-version:
    pytest tests/test_house.py -q -k version
