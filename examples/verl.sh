#!/usr/bin/env bash
# GRPO in verl (keys of 0.9) with a served gramr2 judge as the reward. Rows of the Parquet files need extra_info.prompt and a reference answer
# (extra_info.reference, or reward_model.ground_truth). Older versions of verl spell some keys without «reward.» in front. First, on any
# machine that the trainers reach:
#   GRAMR2_TOKEN=… gramr2 serve --model runs/my-run --host 0.0.0.0 --port 8000
# verl_genrm.sh lets verl serve the judge itself.
set -euo pipefail
JUDGE_URL=${JUDGE_URL:?the address of gramr2 serve, such as http://judge:8000}
: "${GRAMR2_TOKEN:?the server\'s token}"
python -m verl.trainer.main_ppo \
  algorithm.adv_estimator=grpo \
  data.train_files="${TRAIN_FILES:?}" data.val_files="${VAL_FILES:?}" data.train_batch_size=64 \
  data.max_prompt_length=1024 data.max_response_length=1024 \
  actor_rollout_ref.model.path="${POLICY:?}" \
  actor_rollout_ref.rollout.name=vllm actor_rollout_ref.rollout.n=8 \
  actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=8 \
  actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu=8 \
  actor_rollout_ref.actor.ppo_mini_batch_size=32 actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=4 \
  trainer.n_gpus_per_node="${GPUS:-8}" trainer.nnodes=1 \
  reward.custom_reward_function.path="$(python -c 'import gramr2.rewards.adapters.verl as v; print(v.__file__)')" \
  reward.custom_reward_function.name=compute_score \
  +reward.custom_reward_function.reward_kwargs.url="$JUDGE_URL" \
  "$@"
