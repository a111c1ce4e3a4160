#!/bin/sh
# Submit with plain curl, as any tool that sends HTTP does (n8n: the node "HTTP Request" with the same four fields).
# CATCHLIGHT=http://127.0.0.1:8080 CATCHLIGHT_ADMIN_TOKEN=… sh submit.sh acme/painter 'a fox in snow'
# The same Idempotency-Key and body give the same answer: a try that was cut off may be sent again.
set -eu
model=$1 prompt=$2
key=${3:-$(printf '%s %s' "$model" "$prompt" | sha256sum | cut -d' ' -f1)}
body=$(printf '%s\n%s' "$model" "$prompt" | python3 -c '
import json, sys
model, prompt = sys.stdin.read().split("\n", 1)
print(json.dumps({"model": model, "input": {"prompt": prompt}, "metadata": {"from": "curl"}}))')
curl --silent --show-error --fail-with-body "${CATCHLIGHT:-http://127.0.0.1:8080}/api/v1/predictions" \
  ${CATCHLIGHT_ADMIN_TOKEN:+--header "Authorization: Bearer $CATCHLIGHT_ADMIN_TOKEN"} \
  --header "Content-Type: application/json" --header "Idempotency-Key: $key" --data-raw "$body"
