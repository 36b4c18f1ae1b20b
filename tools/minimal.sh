#!/bin/sh
# The tests of the base with the oldest versions that pyproject.toml allows: tools/minimal.sh FOLDER WHEEL
# uv picks the lowest version of every direct dependency; what these need themselves is as old as constraints allow them to be new.
set -eu
cd "$(dirname "$0")/.."
folder=$1
wheel=$2
uv=${UV:-.venv/bin/uv}
"$uv" venv --quiet --clear --python "${PYTHON:-.venv/bin/python}" "$folder"
"$uv" pip compile --quiet --resolution lowest-direct --python "$folder/bin/python" --no-header \
    --output-file "$folder/lowest.txt" pyproject.toml
"$uv" pip install --quiet --python "$folder/bin/python" --requirement "$folder/lowest.txt" pytest
"$uv" pip install --quiet --python "$folder/bin/python" --no-deps "$wheel"
FUGATO_BASE_ONLY=1 "$folder/bin/python" -m pytest tests/base
