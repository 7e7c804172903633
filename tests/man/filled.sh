# SPDX-License-Identifier: BSD-3-Clause
# mpix_layout(7) has the table of variables as the program has it, and the examples word for word, in its source and
# as a reader sees them.
page=$top_srcdir/man/mpix_layout.7
python3 "$top_srcdir/man/fill.py" --check "$page" "$top_srcdir" "$top_builddir/mpix_layout_info" || exit 1
if ! command -v mandoc >/dev/null; then
  echo "SKIP: what a reader sees needs mandoc"
  exit 77
fi
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
mandoc -Tascii -Owidth=200 "$page" | sed 's/.\x08//g' >"$folder/page" || exit 1
for example in transpose moe_dispatch; do
  source=$top_srcdir/examples/$example.c
  # From the first line that only this example has, up to its last line.
  lines=$(wc -l <"$source")
  third=$(sed -n 3p "$source")
  start=$(($(grep -nF "$third" "$folder/page" | cut -d: -f1) - 2))
  indent=$(sed -n "${start}p" "$folder/page" | sed 's/[^ ].*//')
  tail -n +$start "$folder/page" | head -n "$lines" | sed "s/^$indent//" >"$folder/$example.c"
  diff -u "$source" "$folder/$example.c" || exit 1
  echo "$example.c: can be copied from the page"
done
