#!/usr/bin/env bash
# Run chapters one after another on a GPU; keep what succeeded, fail at the end if one failed.
#
#   tools/run_on_gpu.sh [CHAPTER ...]                 on this machine; all chapters, if none is named
#   HOST=me@machine tools/run_on_gpu.sh [CHAPTER ...]  on another one, by ssh: takes along, runs, brings back
#
# From the environment come PRESET (gpu), DEVICE (cuda; cpu for a dry run), DATA_DIR (PAGS_DATA, or data; the script
# fetches none), LIMIT (seconds after which it ends by itself), MEASURES (build/measures.tar) and, without HOST, SUMMARY (a
# file that gets one line per chapter). Executed notebooks and results end up where `pags run` puts them.
#
# MEASURES holds the artifacts of trainings that were finished: weights, or what was measured of a net whose weights are
# not kept. Those of more than LARGEST (2000000) bytes stay out, but for generators, autoencoders and denoisers: without
# them the rest is of no use. It is unpacked first, if it is there, and packed at the end, whatever that is: a run that
# was cut off goes on with the next training, on any machine that has this file. (Chapters whose images a network draws
# need the same kind of GPU: another one draws them with other roundings.) What ends it in time is LIMIT or Ctrl-C; a
# machine that vanishes takes along what was made since the start.
#
# With HOST the committed tree goes into DIRECTORY (pags-on-gpu, below the home directory there), with MEASURES, and the
# name of its commit (PAGS_COMMIT), which the runs record; `make setup` follows. What this call made comes back, into
# PAGS_BUILD (build). DATA_DIR is a path over there. There Ctrl-C ends only the connection: set LIMIT.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${PRESET:=gpu}" "${DEVICE:=cuda}" "${DATA_DIR:=${PAGS_DATA:-data}}" "${SUMMARY:=/dev/null}" "${HOST:=}" "${LIMIT:=}"
build=${PAGS_BUILD:-build}
: "${MEASURES:=$build/measures.tar}" "${LARGEST:=2000000}" "${DIRECTORY:=pags-on-gpu}"
if [[ ! "$LIMIT" =~ ^([1-9][0-9]*)?$ ]]; then
    echo "LIMIT = $LIMIT: write whole seconds, like 780" >&2
    exit 2
fi

if [ -n "$HOST" ]; then
    there=$(printf %q "$DIRECTORY")
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    ssh "$HOST" "mkdir -p $there/build && cd $there && rm -rf notebooks src tools && touch build/.began"
    git archive --format=tar HEAD | ssh "$HOST" "tar -x -C $there"
    if [ -f "$MEASURES" ]; then
        ssh "$HOST" "cd $there/build && cat > .measures.tar && mv .measures.tar measures.tar" < "$MEASURES"
    fi
    command="$(printf '%q ' env "PRESET=$PRESET" "DEVICE=$DEVICE" "DATA_DIR=$DATA_DIR" "LARGEST=$LARGEST" \
        "LIMIT=$LIMIT" "PAGS_COMMIT=$(git rev-parse HEAD)" tools/run_on_gpu.sh "$@")"
    status=0
    ssh "$HOST" "cd $there && make setup && $command" || status=$?
    # What this call has made, and whole, or nothing: what lies here is not touched before all of it has come.
    new="find executed results failed changed measures.tar -type f -newer .began 2>/dev/null || true"
    if ! ssh "$HOST" "cd $there/build && { $new; } | tar -c -T -" | tar -x -C "$work"; then
        echo "nothing was brought back from $HOST: it still lies there, in $DIRECTORY/build" >&2
        exit 1
    fi
    if [ -f "$work/measures.tar" ]; then
        mkdir -p "$(dirname "$MEASURES")"
        mv "$work/measures.tar" "$MEASURES"
    fi
    mkdir -p "$build"
    cp -R "$work/." "$build"
    for kind in . changed; do  # what has succeeded now is no longer among the failed
        if [ -d "$work/$kind/executed" ]; then
            (cd "$work/$kind/executed" && find . -type f) | while IFS= read -r file; do rm -f "$build/$kind/failed/$file"; done
        fi
    done
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
    pags artifacts unpack "$MEASURES" || echo "the run begins with what of $MEASURES could be read" >&2
fi
keep() {
    pags artifacts pack "$MEASURES" --largest "$LARGEST" || echo "no measures were kept" >&2
}
trap keep EXIT

failed=()
for chapter in "$@"; do
    run=(pags run "$chapter" --preset "$PRESET" --device "$DEVICE" --data-dir "$DATA_DIR")
    if [ -n "$LIMIT" ]; then
        left=$((LIMIT - SECONDS))
        run=(timeout --foreground --signal=INT --kill-after=30 "$((left > 0 ? left : 1))" "${run[@]}")
    fi
    status=0
    "${run[@]}" || status=$?
    case "$status" in
    0) echo "- $chapter: done" >> "$SUMMARY" ;;
    124 | 130 | 137)
        echo "- $chapter: **cut off**" >> "$SUMMARY"
        why="cut off"
        if [ "$status" = 137 ]; then why="killed (did it need more memory than there is?)"; fi
        echo "$why in $chapter: the same command goes on from $MEASURES" >&2
        exit 1
        ;;
    *)
        echo "- $chapter: **failed**" >> "$SUMMARY"
        failed+=("$chapter")
        ;;
    esac
done

if [ ${#failed[@]} -gt 0 ]; then
    echo "failed: ${failed[*]}" >&2
    exit 1
fi
