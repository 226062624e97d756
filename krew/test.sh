#!/usr/bin/env bash
# Installs the plugin from dist/ with the real krew, without a network: krew's own validator,
# install, list, run as `kubectl extconn`, upgrade, uninstall. Needs go and git, and kubectl or
# the lab's.
#   DIST=…   another folder than dist
set -euo pipefail
cd "$(dirname "$0")/.."
: "${DIST:=dist}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "krew test: $*" >&2; exit 1; }
say() { echo "krew test: $*"; }

[ -f "$DIST/extconn.yaml" ] || fail "there is no $DIST/extconn.yaml: krew/dist.sh makes it"
(cd lab/components/krew && go build -mod=readonly -trimpath -o "$work/" \
    sigs.k8s.io/krew/cmd/krew sigs.k8s.io/krew/cmd/validate-krew-manifest)
export KREW_NO_UPGRADE_CHECK=1 HOME=$work/home KUBECONFIG=$work/none
mkdir -p "$work/bin" "$HOME"
ln -s "$work/krew" "$work/bin/kubectl-krew"
export PATH="$work/bin:$PATH"
lab=$PWD/target/release/extconn-lab
if [ -x "$lab" ]; then
    # The kubectl that the lab is built with, wherever the cache is.
    printf '#!/bin/sh\nXDG_CACHE_HOME=%s exec %s tool kubectl "$@"\n' \
        "${XDG_CACHE_HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)/.cache}" "$lab" >"$work/bin/kubectl"
    chmod +x "$work/bin/kubectl"
fi
say "$(kubectl version --client | head -n 1), krew $(go -C lab/components/krew list -m -f '{{.Version}}' sigs.k8s.io/krew)"
case $(uname -m) in x86_64) arch=amd64 ;; aarch64) arch=arm64 ;; *) fail "no archive for $(uname -m)" ;; esac
krew() { kubectl krew "$@" 2>>"$work/log" || { tail -n 5 "$work/log" >&2; fail "kubectl krew $* failed"; }; }

"$work/validate-krew-manifest" -manifest "$DIST/extconn.yaml" -skip-install >"$work/log" 2>&1 ||
    { tail -n 5 "$work/log" >&2; fail "the manifest is not valid"; }
say "the manifest is valid"

# Every archive is unpacked as on its own platform; its checksum is checked.
for archive in "$DIST"/extconn-*.tar.gz; do
    platform=${archive##*/extconn-} platform=${platform%.tar.gz}
    KREW_ROOT=$work/$platform KREW_OS=${platform%-*} KREW_ARCH=${platform#*-} \
        krew install --manifest="$DIST/extconn.yaml" --archive="$archive"
    say "$platform installs"
done

# fresh ROOT: krew starts anew there. It wants an index; one of our own, never fetched, does.
fresh() {
    export KREW_ROOT=$1 PATH="$1/bin:$PATH"
    index=$KREW_ROOT/index/default
    mkdir -p "$index/plugins"
    cp "$DIST/extconn.yaml" "$index/plugins/"
    git -C "$index" init --quiet
}
# removed: nothing of the plugin is left under krew's root.
removed() {
    krew uninstall extconn
    left=$(find "$KREW_ROOT/bin" "$KREW_ROOT/store" "$KREW_ROOT/receipts" -iname '*extconn*')
    [ -z "$left" ] || fail "uninstalling leaves $left"
}

fresh "$work/root"
krew install --manifest="$DIST/extconn.yaml" --archive="$DIST/extconn-linux-$arch.tar.gz"
# Not by a pipe: who is still writing when grep has seen enough would count as failed.
listed=$(krew list)
grep -q 'extconn$' <<<"$listed" || fail "kubectl krew list does not show it"
version=$(kubectl extconn version --client) || fail "kubectl extconn does not run"
say "kubectl extconn answers: $version"
installed=$(dirname "$(readlink -f "$work/root/bin/kubectl-extconn")")
[ -f "$installed/LICENSE" ] || fail "the license is not installed"
[ -x "$installed/extconn-gateway-linux-$arch" ] || fail "no gateway program is beside the plugin"
kubectl extconn completion --install "$work/root/bin" >/dev/null
[ -x "$work/root/bin/kubectl_complete-extconn" ] || fail "completion is not installed"
completed=$(kubectl __complete extconn stat 2>/dev/null)
grep -q '^status' <<<"$completed" || fail "kubectl does not complete the plugin"
say "kubectl completes it"
rm "$work/root/bin/kubectl_complete-extconn"
removed
say "uninstalls without a trace"

# As users do it: from an index, and then the next version. krew downloads by http only, so the
# archive is served from here.
python3 -u -m http.server --bind 127.0.0.1 --directory "$DIST" 0 >"$work/http" 2>&1 &
server=$!
trap 'kill $server; rm -rf "$work"' EXIT
until port=$(sed -n 's/.* port \([0-9]*\) .*/\1/p' "$work/http") && [ -n "$port" ]; do
    kill -0 $server || fail "no server for the archive"
    sleep 0.1
done
fresh "$work/again"
sed -i "s|uri: .*/|uri: http://127.0.0.1:$port/|" "$index/plugins/extconn.yaml"
krew install --no-update-index extconn
sed -i "s/version: v.*/version: v99.0.0/" "$index/plugins/extconn.yaml"
krew upgrade --no-update-index extconn
[ -d "$work/again/store/extconn/v99.0.0" ] || fail "krew upgrade does not install the next version"
kubectl extconn version --client >/dev/null || fail "kubectl extconn does not run after the upgrade"
removed
say "upgrades, and uninstalls without a trace"
