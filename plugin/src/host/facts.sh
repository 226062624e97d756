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
    say iptables-nat "$(iptables -w 5 -t nat -S PREROUTING 2>&1 | head -n 1)"
fi
has nft && say nft yes
has ip && say iproute2 yes

# Listening TCP ports, from the kernel: state 0A, address:port in hex.
hex=$(printf '%04X' "$port")
if cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk '$4 == "0A" { print $2 }' | grep -q ":$hex\$"; then
    holder=$(has ss && ss -ltnpH "sport = :$port" 2>/dev/null | sed -n 's/.*users:(("\([^"]*\)".*/\1/p' | head -n 1)
    say port-taken "${holder:-unknown}"
fi

for folder in /usr/local/bin /var/lib /etc; do
    say "free-kib" "$(df -Pk "$folder" 2>/dev/null | awk 'NR == 2 { print $4 }') $folder"
done

has ip && ip -o -4 addr show 2>/dev/null | awk '{ sub(/@.*/, "", $2); print "address", $4, $2 }'

# A source IP that is not here must not be anywhere else on the LAN.
for ip in "$@"; do
    ip -o -4 addr show 2>/dev/null | grep -qF " $ip/" && continue
    route=$(ip -4 route get "$ip" 2>/dev/null | head -n 1)
    case $route in
    '' | *' via '*) say source-ip-off-link "$ip"; continue ;;
    esac
    if has ping; then
        ping -c 1 -W 1 "$ip" >/dev/null 2>&1
    elif has bash; then
        timeout 1 bash -c "echo >/dev/udp/$ip/9" 2>/dev/null
        sleep 1
    else
        say source-ip-unchecked "$ip"
        continue
    fi
    neighbour=$(ip -4 neigh show to "$ip" 2>/dev/null | sed -n 's/.*lladdr \([^ ]*\).*/\1/p' | head -n 1)
    [ -n "$neighbour" ] && say source-ip-elsewhere "$ip $neighbour"
done

if has bash; then
    if timeout 5 bash -c "exec 3<>/dev/tcp/$api_host/$api_port" 2>/dev/null; then
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
say service "$(systemctl is-active extconn-gateway.service 2>/dev/null)"
say done
