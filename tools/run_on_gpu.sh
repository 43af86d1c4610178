#!/usr/bin/env bash
# Run chapters one after another on a GPU; keep what succeeded, fail at the end if one failed.
#
#   tools/run_on_gpu.sh [CHAPTER ...]                 on this machine; all chapters, if none is named
#   HOST=me@machine tools/run_on_gpu.sh [CHAPTER ...]  on another one, by ssh: takes along, runs, brings back
#
# PRESET (gpu), DEVICE (cuda; cpu for a dry run), DATA_DIR (data), SUMMARY (a file that gets one line per chapter) and
# MEASURES (build/measures.tar) come from the environment. Executed notebooks and results end up in build/, as with
# `pags run`. MEASURES is unpacked first, if it is there, and packed at the end, whatever that is: a run that was cut
# off goes on where it was, on any machine that has this file. Weights of more than LARGEST (2000000) bytes stay out.
#
# With HOST the committed tree goes into DIRECTORY (pags-on-gpu, below the home directory there), with MEASURES, and the
# name of its commit (PAGS_COMMIT), which the runs record; the first time `make setup` follows. DATA_DIR is a path over
# there.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${PRESET:=gpu}" "${DEVICE:=cuda}" "${DATA_DIR:=data}" "${SUMMARY:=/dev/null}" "${HOST:=}"
: "${MEASURES:=${PAGS_BUILD:-build}/measures.tar}" "${LARGEST:=2000000}" "${DIRECTORY:=pags-on-gpu}"

if [ -n "$HOST" ]; then
    ssh "$HOST" "mkdir -p $(printf %q "$DIRECTORY/build")"
    git archive --format=tar HEAD | ssh "$HOST" "tar -x -C $(printf %q "$DIRECTORY")"
    if [ -f "$MEASURES" ]; then
        ssh "$HOST" "cat > $(printf %q "$DIRECTORY/build/measures.tar")" < "$MEASURES"
    fi
    command="$(printf '%q ' env "PRESET=$PRESET" "DEVICE=$DEVICE" "DATA_DIR=$DATA_DIR" "LARGEST=$LARGEST" \
        "PAGS_COMMIT=$(git rev-parse HEAD)" tools/run_on_gpu.sh "$@")"
    status=0
    mkdir -p build
    ssh "$HOST" "cd $(printf %q "$DIRECTORY") && { [ -x .venv/bin/pags ] || make setup; } && $command" || status=$?
    ssh "$HOST" "cd $(printf %q "$DIRECTORY/build") && tar -c \$(ls -d executed results failed measures.tar 2>/dev/null)" |
        tar -x -C build
    if [ "$MEASURES" != build/measures.tar ] && [ -f build/measures.tar ]; then
        mv build/measures.tar "$MEASURES"
    fi
    exit "$status"
fi

PATH="$PWD/.venv/bin:$PATH"
if [ "$DEVICE" = cuda ]; then
    python -c 'import sys, torch; sys.exit(None if torch.cuda.is_available() else "torch finds no GPU on this runner")'
fi

if [ $# -eq 0 ]; then
    chapters=(notebooks/[0-9][0-9]*_*.md)
    set -- "${chapters[@]##*/}"
    set -- "${@%.md}"
fi

if [ -f "$MEASURES" ]; then
    pags artifacts unpack "$MEASURES"
fi
keep() {
    pags artifacts pack "$MEASURES" --largest "$LARGEST" || echo "no measures were kept" >&2
}
trap keep EXIT

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
