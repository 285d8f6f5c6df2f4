#!/bin/sh
# What the demo of compose.yaml shows, as curls: ./curls.sh. Ends with 1 if one is not answered as it says.
#
# This gateway believes one hop of x-forwarded-for, so that curl can play several clients; one that clients reach directly must not. COMPOSE is how compose is
# called here, "docker-compose" for the older program.
set -u
cd "$(dirname "$0")"
compose=${COMPOSE:-docker compose}
gateway=http://127.0.0.1:${GATEWAY_PORT:-10000}
admin=http://127.0.0.1:${ENVOY_ADMIN_PORT:-9901}
listed=203.0.113.7
other=198.51.100.20
broken=0

# show WHAT STATUS CLIENT PATH [HEADER]
show() {
    header=${5:-accept: */*}
    printf '\n%s\n  $ curl --path-as-is -H "x-forwarded-for: %s" -H "%s" "%s%s"\n' "$1" "$3" "$header" "$gateway" "$4"
    status=$(curl -s -o /dev/null -w '%{http_code}' --max-time 10 --path-as-is -H "x-forwarded-for: $3" -H "$header" "$gateway$4")
    if [ "$status" = "$2" ]; then
        printf '  %s\n' "$status"
    else
        printf '  %s, NOT %s\n' "$status" "$2"
        broken=$((broken + 1))
    fi
}

# Runs the command line of ASE in its container, and shows it.
ase() {
    printf '\n  $ %s exec ase /ase %s\n' "$compose" "$*"
    $compose exec -T ase /ase "$@" || broken=$((broken + 1))
}

# Envoy is ready when it has compiled the filter and ASE has answered.
waited=0
until [ "$(curl -s --max-time 1 "$admin/ready")" = LIVE ]; do
    waited=$((waited + 1))
    if [ $waited -gt 60 ]; then
        echo "the gateway is not ready after a minute: $compose logs" >&2
        exit 1
    fi
    sleep 1
done

show "An ordinary request passes." 200 $other '/shop/books?id=7'
ase deny add ip $listed --ttl 10m
show "A client on the deny list gets 403." 403 $listed '/shop/books?id=7'
show "Another spelling of the path does not help." 403 $listed '/catalog/%2e%2e//sh%6fp/./books'
show "An API with blocking off lets the same client pass; the log says that it would have been blocked." 200 $listed '/catalog/items'
show "A path that no API definition covers passes, and is logged as such." 200 $listed '/elsewhere'
# The credential is listed by its value; ASE keeps and shows only a keyed hash of it.
printf '\n  $ echo stolen-token | %s exec -T ase /ase deny add token -\n' "$compose"
echo stolen-token | $compose exec -T ase /ase deny add token - || broken=$((broken + 1))
show "A stolen token is refused from any address." 403 $other '/shop/books' 'authorization: Bearer stolen-token'
show "Others are not." 200 $other '/shop/books' 'authorization: Bearer another-token'

printf '\nThe filter counts what it decides, by reason.\n  $ curl "%s/stats?filter=wasmcustom.ase_(permit|deny)"\n' "$admin"
curl -s --max-time 10 "$admin/stats?filter=wasmcustom.ase_(permit|deny)"

printf '\nASE logs each exchange: %s logs ase\n' "$compose"

printf '\nWithout ASE requests pass, counted: the failure policy of envoy.yaml is open, except for what clients can cause.\n  $ %s stop ase\n' "$compose"
$compose stop ase >/dev/null 2>&1
show "The listed client passes now." 200 $listed '/shop/books?id=7'
curl -s --max-time 10 "$admin/stats?filter=wasmcustom.ase_permit_fail_open"
printf '\n  $ %s start ase\n' "$compose"
$compose start ase >/dev/null 2>&1

if [ "$broken" -eq 0 ]; then
    printf '\nall as promised\n'
else
    printf '\n%s not as promised\n' "$broken"
    exit 1
fi
