#!/bin/sh
# Make a virtual environment and install into it: tools/venv.sh FOLDER PIP-ARGUMENTS…
# Finds a Python of 3.11 or later ($PYTHON first), and Debian's python3-venv where it is missing.
set -eu
cd "$(dirname "$0")/.."
folder=$1
shift

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    for candidate in ${PYTHON:-} python3.11 python3.12 python3.13 python3 python3.14 python; do
        if is_new_enough "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    echo "Fugato needs Python 3.11 or later. Install it, or say where it is: make PYTHON=/path/to/python3" >&2
    return 1
}

if ! "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    rm -rf "$folder"
    if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            echo "installing python3-venv" >&2
            apt-get update -qq
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
        else
            echo "This Python cannot make virtual environments: run  apt-get install python3-venv  as root." >&2
            exit 1
        fi
    fi
    echo "making $folder with $("$python" --version)" >&2
    "$python" -m venv "$folder"
fi

echo "installing $* into $folder" >&2
PIP_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 \
    "$folder/bin/python" -m pip install --quiet --no-input --retries 5 --constraint constraints.txt "$@"
