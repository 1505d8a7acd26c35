#!/usr/bin/env bash
# Measures the small and base variants of all families: tools/record_speed.sh [cpu|cuda] [FOLDER]
# On a machine that does nothing else: 25 minutes on two cores. OMP_NUM_THREADS sets the number of threads.
# docs/speed holds what docs/speed.md is written from, by tools/compare.py --update-docs; `make speed` does both.
set -euo pipefail
cd "$(dirname "$0")/.."
device=${1:-cpu} folder=${2:-docs/speed}
python=${PY:-.venv/bin/python}
unset OMP_WAIT_POLICY  # for machines that are shared

measure() {
    local name=$1
    shift
    "$python" tools/benchmark.py "$@" --device "$device" --json "$folder/${device}_$name.json"
}

mkdir -p "$folder"
case $device in
cpu)
    measure infer_224 small base --size 224x224 --runs 3
    measure train_224 small base --size 224x224 --mode train --runs 3
    measure train_224_with_cp small --size 224x224 --mode train --with-cp --runs 1
    measure infer_800 small --size 800x1216 --runs 3
    peers=(--size 448x448 --runs 3)
    ;;
cuda)
    measure infer_800 small base --size 800x1216 --batch 2 --dtype bfloat16
    measure train_800 small base --size 800x1216 --batch 2 --dtype bfloat16 --mode train
    measure train_800_with_cp small base --size 800x1216 --batch 2 --dtype bfloat16 --mode train --with-cp
    peers=(--size 448x448 --batch 16 --dtype bfloat16)
    ;;
*)
    echo "usage: tools/record_speed.sh [cpu|cuda] [FOLDER]" >&2
    exit 2
    ;;
esac
for peer in timm mmdet; do
    if ! "$python" -c "import $peer" 2>/dev/null; then
        echo "$peer is not installed, so nothing is compared with it"
        continue
    fi
    for mode in infer train; do
        measure "${mode}_448_$peer" small --peer $peer --mode $mode "${peers[@]}"
    done
done
