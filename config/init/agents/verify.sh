#!/bin/sh
# An agent in shell: everything it needs is in the environment, its log goes to stderr, its result to stdout.
cat >/dev/null
file="published/$VAPORA_WORKFLOW_ID.txt"
echo "looking for $file" >&2
if grep -q Hello "$file"; then
  echo '{"output": {"verified": true}}'
else
  echo "$file does not greet anybody" >&2
  exit 1
fi
