#!/bin/sh
# An agent in POSIX shell with curl: publishes a draft as a file, and takes it back.
#
#   sh agent.sh http://127.0.0.1:8420 DIRECTORY
#
# It reads JSON by its keys' names, which will do for what it needs. An agent that reads more should use a JSON tool.
set -u
base="${1:-http://127.0.0.1:8420}/api/v1"
directory="${2:-.}"
ending=
session=
trap 'ending=1' TERM INT

# call METHOD PATH [BODY]: prints the answer; fails where the server refuses, or is not there
call() {
  if [ $# -gt 2 ]; then set -- "$1" "$2" -H 'Content-Type: application/json' --data-binary "$3"; fi
  method=$1 path=$2; shift 2
  # the token by stdin: arguments can be seen by everybody on the machine
  printf '%s' "${VAPORA_TOKEN:+header = \"Authorization: Bearer $VAPORA_TOKEN\"}" |
    curl -sS --fail-with-body --max-time 60 -K - -X "$method" "$base$path" "$@"
}

# text KEY: the first string of that name in the JSON on stdin
text() { grep -o "\"$1\":\"[^\"]*\"" | head -n 1 | sed 's/^[^:]*:"//; s/"$//'; }

# insist PATH BODY: tells the server until it has heard, or does not want to
insist() {
  until answer=$(call POST "$1" "$2"); do
    case $answer in *lease_lost* | *agent_unknown* | *agent_protocol*) echo "refused: $answer"; return 1 ;; esac
    sleep 1
  done
}

work() {
  lease=$(printf '%s' "$1" | text lease)
  key=$(printf '%s' "$1" | text idempotency_key | sed 's,/compensate,/execute,' | tr / _)
  # extends the lease until it is told otherwise
  ( while sleep 3; do case $(call POST "/tasks/$lease/heartbeat") in *lease_lost*) exit ;; esac; done ) &
  beat=$!
  file=$directory/$key.published
  case $1 in
    *'"type":"compensation"'*)
      rm -f "$file"
      insist "/tasks/$lease/complete" '{}' ;;
    *)
      # named after the idempotency key, so that doing it again does no more
      printf '%s' "$1" | text content > "$file"
      insist "/tasks/$lease/complete" \
        "{\"artifacts\":[{\"name\":\"published\",\"kind\":\"documentation\",\"content\":\"$(cat "$file")\"}]}" ;;
  esac
  kill "$beat" 2>/dev/null
}

while [ -z "$ending" ]; do
  if [ -z "$session" ]; then
    if answer=$(call POST /agents "{\"name\":\"publisher-$$\",\"roles\":[\"publisher\"]}"); then
      session=$(printf '%s' "$answer" | text session)
      echo 'publisher is there'
    else
      case $answer in *unauth*) echo "$answer"; exit 1 ;; esac
      sleep 1
      continue
    fi
  fi
  if answer=$(call POST "/agents/$session/poll" '{"free": 1, "wait": 2}'); then
    case $answer in *'"lease":'*) work "$answer" ;; esac
  else
    case $answer in *agent_unknown*) session= ;; *) sleep 1 ;; esac
  fi
done
[ -n "$session" ] && call DELETE "/agents/$session" >/dev/null
exit 0
