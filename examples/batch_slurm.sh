#!/bin/bash
# An array of shards: sbatch examples/batch_slurm.sh RECORDINGS OUT
# Shards that were preempted or failed: the same with --array=3,7; finished clips stay.
#SBATCH --job-name=warpprior
#SBATCH --array=1-16
#SBATCH --gpus=1
#SBATCH --cpus-per-task=4
#SBATCH --mem=16G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --signal=TERM@60
SHARDS=16   # as many as the array has; not Slurm's own count, which is that of the shards that are run again
exec warpprior batch "$1" --output-dir "$2" --shard "$SLURM_ARRAY_TASK_ID/$SHARDS" --resume --clip-timeout 1200 "${@:3}"
