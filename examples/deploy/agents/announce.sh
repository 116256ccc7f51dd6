#!/bin/sh
# Stage `announce`: tells the world, once. The idempotency key is the same for every attempt, so it says whether that has happened.
set -eu
task=$(cat)
version=$(printf '%s' "$task" | sed -n 's/.*"version":"\([0-9.]*\)".*/\1/p')
words="shop $version is live, released by $VAPORA_INITIATOR"
log=site/announcements.log
if ! grep -qF "[$VAPORA_IDEMPOTENCY_KEY]" "$log" 2>/dev/null; then
  echo "$words [$VAPORA_IDEMPOTENCY_KEY]" >>"$log"
fi
printf '{"progress": "%s"}\n' "$words" | tr -d '\\'
printf '{"artifacts": [{"name": "announcement", "kind": "documentation", "content": "%s"}]}\n' "$words"
