#!/usr/bin/env bash
# Trains in a Slurm job: [GPUS=8 GPUS_PER_NODE=8 CPUS_PER_TASK=5] tools/slurm_train.sh PARTITION JOB CONFIG [options]
set -euo pipefail
usage='usage: tools/slurm_train.sh PARTITION JOB CONFIG [options of tools/train.py]'
partition=${1:?$usage} job=${2:?$usage} config=${3:?$usage}
gpus=${GPUS:-8} per_node=${GPUS_PER_NODE:-8}
per_node=$((per_node < gpus ? per_node : gpus))
# shellcheck disable=SC2086  # SRUN_ARGS is a list of options
exec srun -p "$partition" --job-name="$job" --gres="gpu:$per_node" --ntasks="$gpus" --ntasks-per-node="$per_node" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
    python -u "$(dirname "$0")/train.py" "$config" --launcher slurm "${@:4}"
