#!/usr/bin/env bash
# Tells Kubernetes which edges to end first: the order that schedulers say, emptiest first, becomes each pod's
# controller.kubernetes.io/pod-deletion-cost. A pod is patched only when its place has changed.
#   SCHEDULER, TOKEN_FILE      who is asked
#   API, ACCOUNT               the cluster's API, and the folder of the service account's token, ca.crt and namespace
#   EVERY_S, ROUNDS            how often, and how many times (0 = until SIGTERM)
set -euo pipefail

scheduler=${SCHEDULER:?} token_file=${TOKEN_FILE:?}
account=${ACCOUNT:-/var/run/secrets/kubernetes.io/serviceaccount}
# Service links are off, but these two are always there.
api=${API:-https://${KUBERNETES_SERVICE_HOST:-kubernetes.default.svc}:${KUBERNETES_SERVICE_PORT:-443}}
every_s=${EVERY_S:-15} rounds=${ROUNDS:-0}
declare -A said=() # pod -> cost

log() { echo "$(date -u +%FT%TZ) $1 deletion-cost ${*:2}" >&2; }

# curl with a token that no list of processes shows.
ask() { # token-file curl-arguments...
    local file=$1
    shift
    curl --silent --show-error --fail --max-time 5 --config <(printf 'header = "Authorization: Bearer %s"\n' "$(<"$file")") "$@"
}

# Prints the ids, one a line. They are names of pods: letters, digits, dots and dashes.
emptiest() {
    ask "$token_file" "$scheduler/v1/autoscale?role=edge" | tr -d ' \n\t' |
        sed -n 's/.*"emptiest":\[\([^]]*\)\].*/\1/p' | tr ',' '\n' | sed -n 's/^"\([a-z0-9.-]*\)"$/\1/p'
}

patch() { # pod cost
    ask "$account/token" --output /dev/null --cacert "$account/ca.crt" --request PATCH \
        --header 'Content-Type: application/merge-patch+json' \
        --data "{\"metadata\":{\"annotations\":{\"controller.kubernetes.io/pod-deletion-cost\":\"$2\"}}}" \
        "$api/api/v1/namespaces/$(<"$account/namespace")/pods/$1"
}

# Costs are negative, so that a pod that nobody has spoken of yet, which is new, stays.
round() {
    local ids pod i=0 cost
    ids=$(emptiest) || { log warn "msg=\"scheduler not reached\" scheduler=$scheduler"; return; }
    local -A now=()
    local pods=()
    mapfile -t pods <<<"$ids"
    for pod in "${pods[@]}"; do
        [ -n "$pod" ] || continue
        cost=$((i - ${#pods[@]}))
        i=$((i + 1))
        if [ "${said[$pod]-}" != "$cost" ] && ! patch "$pod" "$cost"; then
            log warn "msg=\"not patched\" pod=$pod"
            continue
        fi
        now[$pod]=$cost
    done
    said=()
    for pod in "${!now[@]}"; do said[$pod]=${now[$pod]}; done
}

trap 'exit 0' TERM INT
n=0
while :; do
    round
    n=$((n + 1))
    [ "$rounds" -eq 0 ] || [ $n -lt "$rounds" ] || break
    sleep "$every_s" &
    wait $! || true
done
