#!/usr/bin/env bash
# GRPO in verl with a gramr2 judge as the reward. Rows of the Parquet files need extra_info.prompt and a reference answer
# (extra_info.reference, or reward_model.ground_truth). Older versions of verl spell the keys without «reward.» in front. First, on any machine that the trainers reach:
#   GRAMR2_TOKEN=… gramr2 serve --model runs/my-run --host 0.0.0.0 --port 8000
set -euo pipefail
JUDGE_URL=${JUDGE_URL:?the address of gramr2 serve, such as http://judge:8000}
: "${GRAMR2_TOKEN:?the server\'s token}"
python -m verl.trainer.main_ppo \
  algorithm.adv_estimator=grpo \
  data.train_files="${TRAIN_FILES:?}" data.val_files="${VAL_FILES:?}" \
  actor_rollout_ref.model.path="${POLICY:?}" actor_rollout_ref.rollout.n=8 \
  reward.custom_reward_function.path="$(python -c 'import gramr2.rewards.adapters.verl as v; print(v.__file__)')" \
  reward.custom_reward_function.name=compute_score \
  +reward.custom_reward_function.reward_kwargs.url="$JUDGE_URL" \
  "$@"
