# Sourced by ./run and ./test: makes .venv in the checkout and installs Metier into it, once for each pyproject.toml.
# Usage: setup EXTRA[,EXTRA…]   ("" for none)

find_python() {
    local candidate
    for candidate in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    echo "Python 3.11 or newer is needed; set PYTHON to one" >&2
    return 4
}

setup() {
    local extras="$1" python stamp wanted
    stamp=".venv/installed-${extras:-metier}"
    wanted="$(cksum pyproject.toml)"
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
        return
    fi
    python="$(find_python)"
    echo "setting up .venv (once)…" >&2
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".${extras:+[$extras]}" >&2
    echo "$wanted" >"$stamp"
}
