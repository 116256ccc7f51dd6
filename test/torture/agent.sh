#!/bin/sh
# A command agent that writes down on disk what it does, where no engine can change it: b began, e had its effect, d is done. It
# has its effect only where the ledger does not show it yet, as a service does that is given an idempotency key.
# $1: seconds of work; $2: how it ends: `well`, `badly`, or `hiding` a process that would stay.
say() {
  printf '%s %s %s\n' "$1" "$VAPORA_IDEMPOTENCY_KEY" "$VAPORA_ATTEMPT" >> "$LEDGER" && sync "$LEDGER"
}
say b
sleep "$1"
if [ "$2" = hiding ]; then setsid sleep 600 > "$LEDGER.hidden" 2>&1 & fi
if [ "$2" = badly ]; then
  say d
  exit 1
fi
grep -q "^e $VAPORA_IDEMPOTENCY_KEY " "$LEDGER" || say e
say d
echo '{"artifacts":[{"name":"proof","kind":"code","content":"by a command"}]}'
