#!/usr/bin/env bash
# Builds the plugin's archives and its krew manifest into dist/.
#   krew/dist.sh                   for all platforms that a Debian builds: Linux and Windows
#   krew/dist.sh linux/amd64       for these only
# An archive that lies in dist/ already, say one built on a Mac, goes into the manifest too.
#   REUSE=1    pack the programs that are in target/ as they are
#   DIST=…     another folder than dist
#   URL=…      where the archives will be downloaded from, without the file name
#   HOMEPAGE=…
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
: "${DIST:=dist}"
# A release says where it lives; for a trial any address does, as krew asks it for nothing.
: "${HOMEPAGE:=https://extconn.example}"
: "${URL:=$HOMEPAGE/releases/download/v$version}"
# Every platform of kubectl plugins; the manifest holds those whose archive there is.
all=(linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64)
here=(linux/amd64 linux/arm64 windows/amd64)
[ $# -eq 0 ] || here=("$@")
# A gateway host may be of either architecture, whatever the plugin runs on.
gateways=()
for one in "${here[@]}"; do [[ $one != linux/* ]] || gateways+=("$one"); done
[ ${#gateways[@]} -gt 0 ] || gateways=(linux/amd64 linux/arm64)

fail() { echo "dist: $*" >&2; exit 1; }

# triple PLATFORM: what Rust calls it.
triple() {
    case $1 in
        linux/amd64) echo x86_64-unknown-linux-musl ;;
        linux/arm64) echo aarch64-unknown-linux-musl ;;
        darwin/amd64) echo x86_64-apple-darwin ;;
        darwin/arm64) echo aarch64-apple-darwin ;;
        windows/amd64) echo x86_64-pc-windows-gnu ;;
        *) fail "$1 is no platform of kubectl plugins: there are ${all[*]}" ;;
    esac
}

# build PLATFORM: its release programs.
build() {
    local target packages=(-p kubectl-extconn)
    target=$(triple "$1")
    [[ $1 != linux/* ]] || packages+=(-p extconn-gateway)
    .ci/cross "$target"
    if [[ $target = *-linux-musl && $target != "$(uname -m)"-* ]]; then
        # Rust's own musl is linked; the C parts must not ask for glibc's checked functions.
        local variable=${target//-/_} compiler=${target%%-*}-linux-gnu-gcc
        export "CC_$variable=$compiler" "CFLAGS_$variable=-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=0"
        export "CARGO_TARGET_${variable^^}_LINKER=rust-lld"
    fi
    cargo build --locked --release --target "$target" "${packages[@]}"
}

# pack PLATFORM: extconn-OS-ARCH.tar.gz, the same bytes for the same programs.
pack() {
    local os=${1%/*} arch=${1#*/} folder program=kubectl-extconn gateway
    [ "$os" = windows ] && program=kubectl-extconn.exe
    folder=$(mktemp -d)
    cp "target/$(triple "$1")/release/$program" LICENSE "$folder"
    for gateway in "${gateways[@]}"; do
        cp "target/$(triple "$gateway")/release/extconn-gateway" "$folder/extconn-gateway-linux-${gateway#*/}" ||
            fail "there is no gateway program for $gateway: build the archives for Linux first"
    done
    chmod 0755 "$folder" "$folder"/*
    chmod 0644 "$folder/LICENSE"
    tar --create --directory "$folder" --sort=name --owner=0 --group=0 --numeric-owner \
        --mtime="@${SOURCE_DATE_EPOCH:-0}" . | gzip -n -9 >"$DIST/extconn-$os-$arch.tar.gz"
    rm -rf "$folder"
    echo "dist: $DIST/extconn-$os-$arch.tar.gz"
}

# platform PLATFORM: its block in the manifest, if there is an archive.
platform() {
    local os=${1%/*} arch=${1#*/} file bin=kubectl-extconn
    file=extconn-$os-$arch.tar.gz
    [ -f "$DIST/$file" ] || return 0
    [ "$os" = windows ] && bin=kubectl-extconn.exe
    cat <<BLOCK
    - selector:
        matchLabels:
          os: $os
          arch: $arch
      uri: $URL/$file
      sha256: $(sha256sum "$DIST/$file" | cut -d' ' -f1)
      bin: $bin
BLOCK
}

mkdir -p "$DIST"
for one in "${here[@]}"; do triple "$one" >/dev/null; done
if [ -z "${REUSE:-}" ]; then
    for one in "${here[@]}"; do build "$one"; done
fi
for one in "${here[@]}"; do pack "$one"; done
{
    sed -e "s|@VERSION@|$version|" -e "s|@HOMEPAGE@|$HOMEPAGE|" krew/extconn.yaml.template
    for one in "${all[@]}"; do platform "$one"; done
} >"$DIST/extconn.yaml"
echo "dist: $DIST/extconn.yaml"
