#!/bin/sh
# A command agent that writes down on disk what it does, where no engine can change it: b began, e had its effect, d is done. It
# has its effect only where the ledger does not show it yet, as a service does that is given an idempotency key.
# $1: seconds of work; $2: how it ends: `well`, `badly`, or `hiding` a process that would stay.
again=75
say() {
  printf '%s %s %s\n' "$1" "$VAPORA_IDEMPOTENCY_KEY" "$VAPORA_ATTEMPT" >> "$LEDGER" && sync "$LEDGER" || exit $again
}
say b
sleep "$1"
if [ "$2" = hiding ]; then setsid sleep 600 > "$LEDGER.hidden" 2>&1 & fi
if [ "$2" = badly ]; then
  say d
  exit 1
fi
grep -q "^e $VAPORA_IDEMPOTENCY_KEY " "$LEDGER"
# what was killed while it looked has found nothing, and does not know it
case $? in
  0) ;;
  1) say e ;;
  *) exit $again ;;
esac
say d
echo '{"artifacts":[{"name":"proof","kind":"code","content":"by a command"}]}'
