# Finds out about a gateway host; changes nothing. Prints one "key value" line for each fact.
# Arguments: ssh port of the gateway, host and port of the API server, source IPs.
port=$1 api_host=$2 api_port=$3
shift 3
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
say() { echo "$@"; }
has() { command -v "$1" >/dev/null 2>&1; }

say os "$(uname -s)"
say architecture "$(uname -m)"
say hostname "$(uname -n)"
say clock "$(date +%s)"
[ -d /run/systemd/system ] && say systemd "$(systemctl is-system-running 2>/dev/null)"
if has iptables && has iptables-save && has iptables-restore; then
    say iptables "$(iptables -V 2>&1)"
    # Asking the legacy back end would load its modules; warnings are not the answer.
    case $(iptables -V 2>&1) in
    *legacy*) ;;
    *) say iptables-nat "$(iptables -w 5 -t nat -S PREROUTING 2>&1 | grep -v '^# Warning' | head -n 1)" ;;
    esac
fi
has nft && say nft yes
has ip && say iproute2 yes

# Program that listens on a TCP port, `unknown` if it cannot be told; nothing if none does.
# Arguments: port and, unless any address counts, a pattern of addresses as the kernel writes them.
holder() {
    # From the kernel: state 0A, address:port in hex.
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk '$4 == "0A" { print $2 }' |
        grep -Eq "^${2:-.*}:$(printf '%04X' "$1")\$" || return 0
    names=$(has ss && ss -ltnpH "sport = :$1" 2>/dev/null | sed -n 's/.*users:(("\([^"]*\)".*/\1/p')
    case $names in
    *extconn-gateway*) echo extconn-gateway ;;
    '') echo unknown ;;
    *) echo "$names" | head -n 1 ;;
    esac
}
taken=$(holder "$port")
[ -n "$taken" ] && say port-taken "$taken"

# The gateway's own HTTP port is the host file's.
listen=$(sed -n "s/^httpListen: *[\"']\{0,1\}\([^\"' #]*\).*/\1/p" /etc/extconn/gateway.yaml 2>/dev/null)
listen=${listen:-127.0.0.1:9180}
case ${listen%:*} in
*[!0-9.]* | 0.0.0.0) in_the_way='' ;;
# Whoever listens there or on every address. Bytes are turned round, as on all machines that have
# a gateway.
*) in_the_way=$(echo "${listen%:*}" | awk -F. '{ printf "(0+|(0{16}FFFF0000)?%02X%02X%02X%02X)", $4, $3, $2, $1 }') ;;
esac
taken=$(holder "${listen##*:}" "$in_the_way")
[ -n "$taken" ] && [ "$taken" != extconn-gateway ] && say http-taken "${listen##*:} $taken"

for folder in /usr/local/bin /var/lib /etc /run; do
    [ -d "$folder" ] || continue
    # Root may write everywhere but there.
    [ -w "$folder" ] || say read-only "$folder"
    say free-kib "$(df -Pk "$folder" 2>/dev/null | awk 'NR == 2 { print $4 }') $folder"
    # A filesystem without a limit, such as btrfs, says that it has 0 in all.
    say free-inodes "$(df -Pi "$folder" 2>/dev/null | awk 'NR == 2 && $2 > 0 { print $4 }') $folder"
done

has ip && ip -o -4 addr show 2>/dev/null | awk '{ sub(/@.*/, "", $2); print "address", $4, $2 }'

# A source IP must not be anywhere else on the LAN. Whoever has it answers within milliseconds.
arp_probe() { # Pairs INTERFACE IP: asks as RFC 5227 says, so that nobody learns a wrong address.
    perl - "$@" <<'PERL'
use strict; use Socket;
my $ARP = 0x0806; my (%asked, %own);
for my $file (glob "/sys/class/net/*/address") {
    open my $in, "<", $file or next; my $mac = <$in>; chomp $mac; $own{$mac} = 1;
}
socket my $socket, 17, SOCK_DGRAM, unpack("S", pack "n", $ARP) or exit 1;
while (my ($interface, $ip) = splice @ARGV, 0, 2) {
    my ($index, $mac) = map { open my $in, "<", "/sys/class/net/$interface/$_" or exit 1; my $line = <$in>; chomp $line; $line } qw(ifindex address);
    my $packet = pack "n n C C n H12 N H12 a4", 1, 0x0800, 6, 4, 1, join("", split /:/, $mac), 0, "0" x 12, inet_aton($ip);
    my $everyone = pack "S n i S C C a8", 17, $ARP, $index, 1, 0, 6, "\xff" x 6;
    $asked{$ip} = [$packet, $everyone];
}
for (1 .. 2) {
    send $socket, $_->[0], 0, $_->[1] or exit 1 for values %asked;
    my $left = 0.4;
    while ($left > 0) {
        my $ready = ""; vec($ready, fileno $socket, 1) = 1;
        (my $found, $left) = select $ready, undef, undef, $left;
        $found > 0 && defined recv $socket, my $packet, 128, 0 or last;
        my ($mac, $ip) = unpack "x8 H12 a4", $packet;
        $mac = join ":", $mac =~ /../g; $ip = inet_ntoa($ip);
        next if $own{$mac};
        print "source-ip-elsewhere $ip $mac\n" if delete $asked{$ip};
    }
}
PERL
}
here='' absent=''
for ip in "$@"; do
    interface=$(ip -o -4 addr show 2>/dev/null | awk -v ip="$ip" 'index($4, ip "/") == 1 { sub(/@.*/, "", $2); print $2; exit }')
    if [ -n "$interface" ]; then
        here="$here $interface $ip"
        continue
    fi
    route=$(ip -4 route get "$ip" 2>/dev/null | head -n 1)
    case $route in
    '' | *' via '*) say source-ip-off-link "$ip" ;;
    *) absent="$absent $(echo "$route" | sed -n 's/.* dev \([^ ]*\).*/\1/p') $ip" ;;
    esac
done
# shellcheck disable=SC2086 # They are words without blanks.
if [ -n "$here$absent" ] && ! { has perl && arp_probe $here $absent 2>/dev/null; }; then
    set -- $absent
    while [ $# -gt 1 ]; do
        ip neigh del "$2" dev "$1" 2>/dev/null
        if has ping; then
            ping -c 1 -W 1 "$2" >/dev/null 2>&1
        elif has bash; then
            timeout 1 bash --norc -c "echo >/dev/udp/$2/9" 2>/dev/null
            sleep 1
        else
            say source-ip-unchecked "$2"
        fi
        neighbour=$(ip -4 neigh show to "$2" 2>/dev/null | sed -n 's/.*lladdr \([^ ]*\).*/\1/p' | head -n 1)
        [ -n "$neighbour" ] && say source-ip-elsewhere "$2 $neighbour"
        shift 2
    done
fi

if has bash; then
    if timeout 5 bash --norc -c "exec 3<>/dev/tcp/$api_host/$api_port" 2>/dev/null; then
        say api yes
    else
        say api no
    fi
fi

# What is installed already.
hash() { [ -f "$1" ] && sha256sum "$1" 2>/dev/null | cut -d' ' -f1; }
for file in /usr/local/bin/extconn-gateway /etc/extconn/gateway.yaml /etc/extconn/kubeconfig \
    /etc/systemd/system/extconn-gateway.service /etc/sysusers.d/extconn.conf; do
    sum=$(hash "$file") && [ -n "$sum" ] && say file "$sum $file"
done
[ -s /var/lib/extconn/token ] && say token yes
[ -e /var/lib/extconn/restart-owed ] && say restart-owed yes
say service "$(systemctl is-active extconn-gateway.service 2>/dev/null)"
say done
