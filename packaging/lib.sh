# Sourced by the scripts of this folder, in the project's root.
# shellcheck shell=sh
umask 022
# shellcheck disable=SC2034 # used by those who source this
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
built=${CARGO_TARGET_DIR:-target}/release/upgrade-gate
# The date of all that is built: that of the commit, or of the sources where there is no clone.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date -r Cargo.lock +%s)}
export SOURCE_DATE_EPOCH

# Sets BINARY and GENERATOR, and builds them if they are not given.
programs() {
    [ -n "${BINARY-}" ] || packaging/build
    BINARY=$(realpath "${BINARY:-$built}")
    GENERATOR=$(realpath "${GENERATOR:-$BINARY}")
    SOURCE=$PWD
    export BINARY GENERATOR SOURCE
}
