#!/bin/sh
# The tests of the base on the built wheel under every Python that is here: tools/pythons.sh FOLDER WHEEL PYTHON…
# Each gets an empty environment with the versions of constraints.txt; an interpreter that is missing is said and passed over.
set -eu
cd "$(dirname "$0")/.."
folder=$1
wheel=$2
shift 2
tested=""
for python in "$@"; do
    if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        echo "$python: not here, or without venv; passed over" >&2
        continue
    fi
    version=$("$python" -c 'import platform; print(platform.python_version())')
    rm -rf "$folder/$version"
    "$python" -m venv "$folder/$version"
    "$folder/$version/bin/python" -m pip install --quiet --disable-pip-version-check --constraint constraints.txt "$wheel" pytest
    FUGATO_BASE_ONLY=1 "$folder/$version/bin/python" -m pytest -q tests/base
    tested="$tested $version"
done
echo "tested under Python:$tested"
test -n "$tested"
