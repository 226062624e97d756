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

changed=no
# put FILE TARGET MODE OWNER: copies, if the target differs.
put() {
    if cmp -s "$1" "$2"; then
        chown "$4" "$2"
        chmod "$3" "$2"
        return 0
    fi
    draft=$2.new # Always the same, so that the next run takes over what an interrupted one left.
    install -m 0600 "$1" "$draft"
    chown "$4" "$draft"
    chmod "$3" "$draft"
    mv -f "$draft" "$2"
    changed=yes
    say "wrote $2"
}

install -d -m 0755 /etc/sysusers.d /usr/local/bin
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
put "$binary" /usr/local/bin/extconn-gateway 0755 root:root
put "$host_file" /etc/extconn/gateway.yaml 0644 root:root
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
if grep -Eq '^[^#]*assignTo' "$host_file"; then
    install -d -m 0755 "$drop_in"
    announce=$(mktemp)
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
    rm -rf "$drop_in"
    changed=yes
    say "took back the right to announce addresses: no assignTo in the host file"
fi
/usr/local/bin/extconn-gateway check-config || fail "correct the files named above, then run this again"

if [ "$changed" = no ]; then
    say "everything is in place already"
fi
[ "$start" = yes ] || exit 0
systemctl daemon-reload
systemctl --quiet enable extconn-gateway.service
if [ "$changed" = yes ]; then
    systemctl restart extconn-gateway.service
else
    systemctl start extconn-gateway.service
fi
say "extconn-gateway is $(systemctl is-active extconn-gateway.service)"
