#!/bin/sh
# The browser that the tests of the page drive: Debian's Chromium, installed where it is missing and may be. Without one those tests
# are skipped by name.
for name in chromium chromium-browser google-chrome google-chrome-stable; do
    command -v "${FUGATO_CHROMIUM:-$name}" >/dev/null 2>&1 && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing chromium" >&2
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null && exit 0
fi
echo "There is no Chromium here, so the tests of the page will be skipped:  apt-get install chromium  as root." >&2
