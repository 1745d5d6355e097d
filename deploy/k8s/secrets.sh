#!/usr/bin/env bash
# Prints the Secret that the pods need, with random tokens; existing ones are not read.
#   deploy/k8s/secrets.sh | kubectl apply -f -
# --redis-password-file FILE: of a Redis that is there already.
set -euo pipefail

namespace=${NAMESPACE:-headwater} redis_password=''

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

case ${1-} in
'') redis_password=$(random) ;;
--redis-password-file) redis_password=$(<"${2:?a file is missing}") ;;
*) echo "usage: secrets.sh [--redis-password-file FILE]" >&2; exit 2 ;;
esac
metrics=$(random)
cat <<END
# admin-tokens: name, scope, secret of each; headwater-tool and people use "operator", pods "drain" when they go.
apiVersion: v1
kind: Secret
metadata:
  name: headwater-tokens
  namespace: $namespace
  labels: {app.kubernetes.io/name: headwater}
type: Opaque
stringData:
  node-token: "$(random)"
  admin-tokens: |
    operator admin $(random)
    metrics read $metrics
  metrics-token: "$metrics"
  redis-password: "$redis_password"
END
