#!/usr/bin/env bash
# REINFORCE with a group baseline in OpenRLHF (flags of 0.11), with a gramr2 judge as the remote reward: a completion's chance to beat the
# reference in its row's label, such as {"prompt": "What is 12+34?", "reference": "It is 46."}. OpenRLHF asks for all completions of a rollout
# at once and waits 180 s. First:  gramr2 serve --model runs/my-run --port 8000 --requests 1024 --queue 1024 --deadline 175 --end-token '<|im_end|>'
set -euo pipefail
python -m openrlhf.cli.train_ppo_ray \
  --actor.model_name_or_path "${POLICY:?}" \
  --data.prompt_dataset "${PROMPTS:?}" --data.input_key prompt --data.label_key label --data.apply_chat_template \
  --reward.remote_url "${JUDGE_URL:?such as http://127.0.0.1:8000}/get_reward" \
  --vllm.num_engines "${ENGINES:-4}" --vllm.tensor_parallel_size 1 --vllm.sync_backend nccl \
  --actor.num_nodes 1 --actor.num_gpus_per_node "${GPUS:-4}" --ref.num_nodes 1 --ref.num_gpus_per_node "${GPUS:-4}" \
  --rollout.batch_size 128 --rollout.n_samples_per_prompt 8 --algo.advantage.estimator group_norm \
  "$@"
