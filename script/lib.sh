# shellcheck shell=bash
# What script/demo, script/test and script/bench share. Sourced, never run.

export PATH="$PATH:/usr/sbin:/sbin" # where ordinary users do not look for ip and nft
# Beside the source tree, and kept: hundreds of tests start the auditor anew, and each would compile all that it imports.
export PYTHONPYCACHEPREFIX="$PWD/.cache/bytecode"
export PYTHONPATH="$PWD/script${PYTHONPATH:+:$PYTHONPATH}" # the lab
VENV="$PWD/.venv"

say() { printf '== %s\n' "$*" >&2; }
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 2
}

# Print a Python that is new enough and can make virtual environments.
find_python() {
    local name
    for name in python3.13 python3.12 python3.11 python3; do
        if "$name" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    return 1
}

# make_venv PIP-ARGUMENTS…: install the auditor into .venv, unless that has been done for this pyproject.toml.
make_venv() {
    local python wanted stamp
    wanted="$(sha256sum pyproject.toml) $PWD"
    stamp="$VENV/.installed-$(cksum <<<"$*" | cut -d' ' -f1)"
    if [[ -x $VENV/bin/auditor && $(cat "$stamp" 2>/dev/null) == "$wanted" ]]; then
        return
    fi
    find_python >/dev/null || install_or_ask python3 python3-venv
    python=$(find_python) || die "Python 3.11 or newer is needed, with its venv module"
    say "installing into .venv"
    [[ -x $VENV/bin/python ]] || "$python" -m venv "$VENV"
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1' # the first with --group
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
    printf '%s\n' "$wanted" >"$stamp"
}

# need COMMAND:PACKAGE…: make sure that the commands are there. A command may be a glob of absolute paths.
need() {
    local pair missing=()
    for pair in "$@"; do
        if ! command -v "${pair%%:*}" >/dev/null && ! compgen -G "${pair%%:*}" >/dev/null; then
            missing+=("${pair##*:}")
        fi
    done
    if ((${#missing[@]})); then
        install_or_ask "${missing[@]}"
    fi
}

# install_or_ask PACKAGE…: install as root on Debian and its kin; elsewhere say exactly what to install.
install_or_ask() {
    if [[ $EUID -ne 0 ]]; then
        die "please install what is missing and start again: sudo apt-get install --no-install-recommends $*"
    fi
    command -v apt-get >/dev/null || die "please install with this system's package manager: $*"
    install_quietly "$@"
}

POLICY=/usr/sbin/policy-rc.d

# install_quietly PACKAGE…: by apt, with no daemon of theirs started now or at the next boot.
install_quietly() {
    local package unit
    say "installing by apt: $*"
    if [[ -e $POLICY && ! -e $POLICY.before ]]; then
        mv "$POLICY" "$POLICY.before"
    fi
    trap restore_policy EXIT
    printf '#!/bin/sh\nexit 101\n' >"$POLICY"
    chmod 755 "$POLICY"
    apt-get update -qq </dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null
    if command -v systemctl >/dev/null; then
        for package in "$@"; do
            while read -r unit; do
                systemctl disable --quiet "${unit##*/}" 2>/dev/null || true # no systemd is running here, or it is static
            done < <(dpkg -L "$package" | grep -E '/systemd/system/[^/@]+\.(service|timer|socket)$')
        done
    fi
    restore_policy
    trap - EXIT
}

restore_policy() {
    rm -f "$POLICY"
    if [[ -e $POLICY.before ]]; then
        mv "$POLICY.before" "$POLICY"
    fi
}
