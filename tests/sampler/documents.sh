#!/bin/sh
# documents.sh - measures the sampler on the documents of this machine
#
# QUALITY is the program that measures. Licences, READMEs, package descriptions
# and manual pages, as far as they are here; the last two have headlines that a
# person wrote. PAGES_MAX manual pages at most, spread over all of them.
# SPDX-License-Identifier: MIT
set -eu

: "${QUALITY:?the program that measures}"
PAGES_MAX=${PAGES_MAX:-300}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Any number of files, a name a line on standard input, become one row.
row() { # NAME
    tr '\n' '\0' | xargs -0 -r -n 100000 "$QUALITY" "$1" || :
}

cat <<END
| texts | | divergence, lead | sampler | sampler better | recall, lead | sampler | words, lead | sampler |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
END
find /usr/share/common-licenses -type f | sort | row 'licences'

mkdir "$dir/readme" "$dir/pages" "$dir/packages"
n=0
find /usr/share/doc -name 'README*' -type f | sort | while read -r file; do
    n=$((n + 1))
    case $file in
    *.gz) gzip -dc "$file" >"$dir/readme/$n" ;;
    *) cp "$file" "$dir/readme/$n" ;;
    esac
done
find "$dir/readme" -type f | sort | row 'READMEs'

# dpkg's record: the first line of a description is its headline.
awk -v dir="$dir/packages" '
    /^Description: / { file = dir "/" ++n; print substr($0, 14) >(file ".headline")
        close(file ".headline"); next }
    /^ / && file { sub(/^ \.$/, ""); sub(/^ /, ""); print >file; next }
    { if (file) close(file); file = "" }' /var/lib/dpkg/status
find "$dir/packages" -type f ! -name '*.headline' | sort |
    row 'package descriptions'

command -v mandoc >/dev/null || exit 0
find /usr/share/man/man1 -name '*.1.gz' -type f | sort >"$dir/list"
step=$(($(wc -l <"$dir/list") / PAGES_MAX + 1))
n=0
awk -v step=$step 'NR % step == 0' "$dir/list" | while read -r page; do
    n=$((n + 1))
    gzip -dc "$page" | mandoc -T utf8 -O width=1000 2>"$dir/errors" |
        sed 's/.\x08//g' >"$dir/page" || continue
    # What stands behind the dash of NAME, and the DESCRIPTION.
    awk -v text="$dir/pages/$n" '
        /^[^ ]/ { section = $0; next }
        section == "NAME" && sub(/^.* (-|–|—) /, "") { print >(text ".headline") }
        section == "DESCRIPTION" { sub(/^ +/, ""); print >text }' "$dir/page"
done
find "$dir/pages" -type f ! -name '*.headline' | sort | row 'manual pages'
