#!/bin/sh
# Installs extconn-gateway on this host, or brings an installation up to date: run as root, on the
# gateway host. Running it again changes only what differs; see `install.sh --help`.
set -eu

usage() {
    cat <<'USAGE'
usage: install.sh --binary FILE --host-file FILE --kubeconfig FILE --token FILE [--no-start]

Installs extconn-gateway as a systemd service on this host. All files are copied.

  --binary FILE      the program extconn-gateway, static
  --host-file FILE   what the cluster may use here; becomes /etc/extconn/gateway.yaml
  --kubeconfig FILE  how to reach the API server; its user must have the line
                     tokenFile: /var/lib/extconn/token
                     becomes /etc/extconn/kubeconfig
  --token FILE       a token of the ServiceAccount extconn-gateway, made with
                     kubectl -n external-services create token extconn-gateway --duration 24h
                     becomes /var/lib/extconn/token, which the gateway renews
  --no-start         copy only
USAGE
}

fail() { echo "install.sh: $*" >&2; exit 1; }
say() { echo "install.sh: $*"; }

binary='' host_file='' kubeconfig='' token='' start=yes
while [ $# -gt 0 ]; do
    case $1 in
        --no-start) start=no; shift; continue ;;
        -h | --help) usage; exit 0 ;;
    esac
    [ $# -ge 2 ] || { usage >&2; fail "$1 needs a value, or is not known"; }
    case $1 in
        --binary) binary=$2 ;;
        --host-file) host_file=$2 ;;
        --kubeconfig) kubeconfig=$2 ;;
        --token) token=$2 ;;
        *) usage >&2; fail "$1 is not known" ;;
    esac
    shift 2
done

here=$(cd "$(dirname "$0")" && pwd)
[ "$(id -u)" -eq 0 ] || fail "must be run as root"
[ -d /run/systemd/system ] || fail "this host does not run systemd"
for program in iptables iptables-save iptables-restore; do
    command -v "$program" >/dev/null || fail "$program is missing: install the package iptables"
done
for file in "$binary" "$host_file" "$kubeconfig" "$token"; do
    [ -n "$file" ] || { usage >&2; fail "one of the four files is not given"; }
    [ -f "$file" ] || fail "there is no file $file"
done
[ -f "$here/systemd/extconn-gateway.service" ] || fail "systemd/ must be beside install.sh"

case $(systemctl is-enabled extconn-gateway.service 2>/dev/null || true) in
    masked*) fail "extconn-gateway.service is masked on this host: allow it with systemctl unmask extconn-gateway" ;;
esac

program=/usr/local/bin/extconn-gateway
changed=no
# There from the first change until the gateway runs with it: what an interrupted run has put here
# looks as if it were in place, and the gateway that runs has not read it.
owed=/var/lib/extconn/restart-owed
[ ! -e "$owed" ] || changed=yes
owe_restart() {
    changed=yes
    # The folder is the gateway's: `install` follows no link that it might have put there.
    [ ! -d /var/lib/extconn ] || install -m 0600 /dev/null "$owed"
}
# draft FILE TARGET MODE OWNER: copies to where it only has to be renamed.
draft() {
    # Always the same name, so that the next run takes over what an interrupted one left.
    install -m 0600 "$1" "$2.new"
    chown "$4" "$2.new"
    chmod "$3" "$2.new"
}
# put FILE TARGET MODE OWNER: copies, if the target differs.
put() {
    if cmp -s "$1" "$2"; then
        chown "$4" "$2"
        chmod "$3" "$2"
        return 0
    fi
    draft "$@"
    owe_restart
    mv -f "$2.new" "$2"
    say "wrote $2"
}

install -d -m 0755 /etc/sysusers.d /usr/local/bin
# The program judges the host file that it is to get, before anything changes. It may not be run
# where it lies: /run is often mounted noexec.
judge=$program
if [ ! -x "$program" ] || ! cmp -s "$binary" "$program"; then
    draft "$binary" "$program" 0755 root:root
    judge=$program.new
fi
"$judge" check-config --host-file-only --config "$host_file" >/dev/null || {
    rm -f "$program.new"
    fail "nothing was changed"
}
put "$here/systemd/sysusers.conf" /etc/sysusers.d/extconn.conf 0644 root:root
if ! getent passwd extconn >/dev/null; then
    if command -v systemd-sysusers >/dev/null; then
        systemd-sysusers /etc/sysusers.d/extconn.conf
    else
        useradd --system --home-dir /var/lib/extconn --shell /usr/sbin/nologin extconn
    fi
    say "made the user extconn"
fi
install -d -m 0755 /etc/extconn
install -d -m 0700 -o extconn -g extconn /var/lib/extconn
put "$binary" "$program" 0755 root:root
rm -f "$program.new"
put "$host_file" /etc/extconn/gateway.yaml 0644 root:root
# What another cluster has asked for must not stay in effect: it is forgotten when the gateway
# starts anew, also if only a later run gets that far.
forget=/var/lib/extconn/forget-last-good
if [ -f /etc/extconn/kubeconfig ] && ! cmp -s "$kubeconfig" /etc/extconn/kubeconfig; then
    install -m 0600 /dev/null "$forget"
fi
put "$kubeconfig" /etc/extconn/kubeconfig 0640 root:extconn
# A token that is there may be a renewed one: only a missing one, or one that the file given is
# newer than, is replaced.
if [ ! -f /var/lib/extconn/token ] || [ "$token" -nt /var/lib/extconn/token ]; then
    put "$token" /var/lib/extconn/token 0600 extconn:extconn
fi
put "$here/systemd/extconn-gateway.service" /etc/systemd/system/extconn-gateway.service 0644 root:root
# Who assigns addresses also announces them to the neighbours: that takes a packet socket, which
# nothing else needs.
drop_in=/etc/systemd/system/extconn-gateway.service.d
if grep -Eq '^[^#]*assignTo' /etc/extconn/gateway.yaml; then
    install -d -m 0755 "$drop_in"
    announce=/run/extconn-announce.conf # Not in /tmp, which may be full.
    cat >"$announce" <<'UNIT'
# Made by install.sh, because the host file has assignTo: announcing an address (ARP).
[Service]
AmbientCapabilities=CAP_NET_RAW
CapabilityBoundingSet=CAP_NET_RAW
RestrictAddressFamilies=AF_PACKET
UNIT
    put "$announce" "$drop_in/announce.conf" 0644 root:root
    rm -f "$announce"
elif [ -f "$drop_in/announce.conf" ]; then
    owe_restart
    rm -rf "$drop_in"
    say "took back the right to announce addresses: no assignTo in the host file"
fi
"$program" check-config || fail "the gateway was not restarted"

if [ "$changed" = no ]; then
    say "everything is in place already"
fi
if [ "$start" = no ]; then
    # What does not run reads everything when it is started.
    systemctl --quiet is-active extconn-gateway.service || rm -f "$owed"
    exit 0
fi
systemctl daemon-reload
systemctl --quiet enable extconn-gateway.service
if [ -e "$forget" ]; then
    systemctl stop extconn-gateway.service # Or it would write it again.
    rm -f /var/lib/extconn/last-good.json "$forget"
fi
verb=start
[ "$changed" = no ] || verb=restart
systemctl "$verb" extconn-gateway.service 2>/dev/null || {
    journalctl --sync 2>/dev/null || true
    last=$(journalctl --unit extconn-gateway.service --lines 8 --output cat --no-pager 2>/dev/null |
        awk '{ printf "%s%s", separator, $0; separator = "; " }')
    fail "extconn-gateway.service does not start: ${last:-its journal says nothing}"
}
rm -f "$owed"
say "extconn-gateway is $(systemctl is-active extconn-gateway.service)"
