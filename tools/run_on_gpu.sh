#!/usr/bin/env bash
# Run chapters one after another on a GPU; keep what succeeded, fail at the end if one failed.
#
#   tools/run_on_gpu.sh [CHAPTER ...]        all chapters, if none is named
#
# PRESET (standard), DEVICE (cuda; cpu for a dry run), DATA_DIR (data) and SUMMARY (a file that gets one line per chapter)
# come from the environment. Executed notebooks and results end up in build/, as with `pags run`.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"
: "${PRESET:=standard}" "${DEVICE:=cuda}" "${DATA_DIR:=data}" "${SUMMARY:=/dev/null}"

if [ "$DEVICE" = cuda ]; then
    python -c 'import sys, torch; sys.exit(None if torch.cuda.is_available() else "torch finds no GPU on this runner")'
fi

if [ $# -eq 0 ]; then
    chapters=(notebooks/[0-9][0-9]*_*.md)
    set -- "${chapters[@]##*/}"
    set -- "${@%.md}"
fi

failed=()
for chapter in "$@"; do
    if pags run "$chapter" --preset "$PRESET" --device "$DEVICE" --data-dir "$DATA_DIR"; then
        echo "- $chapter: done" >> "$SUMMARY"
    else
        echo "- $chapter: **failed**" >> "$SUMMARY"
        failed+=("$chapter")
    fi
done

if [ ${#failed[@]} -gt 0 ]; then
    echo "failed: ${failed[*]}" >&2
    exit 1
fi
