#!/usr/bin/env bash
# REINFORCE++ in OpenRLHF with a gramr2 judge as the remote reward: a completion's chance to beat the other completions of its prompt in
# the same request, so a prompt's samples must travel together. First:  gramr2 serve --model runs/my-run --port 8000
set -euo pipefail
python -m openrlhf.cli.train_ppo_ray \
  --pretrain "${POLICY:?}" \
  --prompt_data "${PROMPTS:?}" --input_key prompt --apply_chat_template \
  --remote_rm_url "${JUDGE_URL:?such as http://127.0.0.1:8000}/get_reward" \
  --n_samples_per_prompt 8 --advantage_estimator group_norm \
  "$@"
