#!/bin/sh
# Removes extconn-gateway from this host without a trace: service, rules, assigned source IPs,
# files, user. Run as root, on the gateway host. Running it again finds nothing to do.
set -eu

fail() { echo "uninstall.sh: $*" >&2; failures=yes; }
say() { echo "uninstall.sh: $*"; }

case ${1:-} in
    '') ;;
    *) echo "usage: uninstall.sh"; echo "Removes extconn-gateway from this host. Asks nothing."; exit 2 ;;
esac
[ "$(id -u)" -eq 0 ] || { echo "uninstall.sh: must be run as root" >&2; exit 1; }

failures=no
unit=/etc/systemd/system/extconn-gateway.service
if [ -f "$unit" ]; then
    systemctl --quiet disable --now extconn-gateway.service || fail "the service does not stop"
fi
if [ -x /usr/local/bin/extconn-gateway ]; then
    /usr/local/bin/extconn-gateway uninstall || fail "rules or addresses are left, see above"
fi
# Without the program the rules could not be removed by running this again.
[ "$failures" = no ] || exit 1
for file in "$unit" /usr/local/bin/extconn-gateway /etc/sysusers.d/extconn.conf; do
    rm -f "$file" "$file.new"
done
rm -rf "$unit.d" /etc/extconn /var/lib/extconn /run/extconn-install
systemctl daemon-reload
systemctl reset-failed extconn-gateway.service 2>/dev/null || true
if getent passwd extconn >/dev/null; then
    userdel extconn || fail "the user extconn is left"
fi
if getent group extconn >/dev/null; then
    groupdel extconn || fail "the group extconn is left"
fi
[ "$failures" = no ] || exit 1
say "nothing of extconn is left on this host"
