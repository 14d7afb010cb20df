#!/bin/sh
# Make .venv from requirements-dev.txt, if it is not already that.
#
#   infra/environment.sh          make the environment
#   infra/environment.sh python   print the Python that would be used, and stop
set -eu
cd "$(dirname "$0")/.."

# Right version, really runs (a version manager's shim may be there and fail), can make
# environments (some distributions ship that as a package of its own).
works() {
    command -v "$1" >/dev/null 2>&1 &&
        "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info[:2] != (3, 13))' \
            >/dev/null 2>&1
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        works "$PYTHON" && echo "$PYTHON" && return
        echo "PYTHON=$PYTHON is not a Python 3.13 with venv and ensurepip." >&2
        return 1
    fi
    for candidate in python3.13 python3 python \
        "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/3.13*/bin/python \
        "$(uv python find 3.13 2>/dev/null || true)"; do
        [ -n "$candidate" ] && works "$candidate" && echo "$candidate" && return
    done
    cat >&2 <<'MESSAGE'
No working Python 3.13 found (tried $PYTHON, python3.13, python3, pyenv and uv).
Install one of these ways, then try again:
  Debian, Ubuntu   apt install python3.13 python3.13-venv
  Fedora           dnf install python3.13
  pyenv            pyenv install 3.13
  uv               uv python install 3.13
or name one:       make PYTHON=/path/to/python3.13 env
MESSAGE
    return 1
}

if [ "${1:-}" = python ]; then
    find_python
    exit
fi

# The lock that .venv was made from is kept inside it, written last.
if .venv/bin/python -c '' 2>/dev/null && cmp -s requirements-dev.txt .venv/made-from.txt; then
    exit
fi
python=$(find_python)
echo "Making .venv with $("$python" --version) ($python): once, about a minute"
"$python" -m venv --clear .venv
.venv/bin/python -m pip install --require-hashes --disable-pip-version-check \
    --no-input -r requirements-dev.txt
cp requirements-dev.txt .venv/made-from.txt
