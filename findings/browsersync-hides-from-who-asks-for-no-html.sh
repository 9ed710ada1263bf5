#!/usr/bin/env bash
# Browsersync serves a page without its own script, and so without a sign of itself, to whoever does not ask for HTML.
#
# Expected: a page is the same for `Accept: */*`, as curl and scanners send, as for a browser.
# Seen with browser-sync 3.0.4 (npm), Node.js 20: the script that names it is in the answer to `Accept: text/html`, and
# not in the one to `Accept: */*`. What looks for development servers by their pages has to ask as a browser does.
#
# Sends nothing but on the loopback interface of a network namespace of its own. Needs npm, curl and unshare.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
npm install --silent --no-audit --no-fund --prefix "$folder" browser-sync@3.0.4 >/dev/null
mkdir "$folder/site"
echo '<!doctype html><html><head><title>shop</title></head><body>shop</body></html>' >"$folder/site/index.html"

cat >"$folder/look.sh" <<'SH'
ip link set lo up
node "$1/node_modules/browser-sync/dist/bin.js" start --server "$1/site" --port 3000 --no-open --no-ui \
    >"$1/log" 2>&1 &
server=$!
for _ in $(seq 300); do curl -s -o /dev/null http://127.0.0.1:3000/ && break; sleep 0.1; done
for accept in '*/*' 'text/html'; do
    curl -s -H "Accept: $accept" http://127.0.0.1:3000/ | grep -c browser-sync-client || true
done
kill "$server"
SH
found=$(unshare -Urnm bash "$folder/look.sh" "$folder" | tr '\n' ' ')
echo "pages that name it, for */* and for text/html: $found"
[[ $found == "0 1 " ]] || { echo "that has changed"; exit 1; }
