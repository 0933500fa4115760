#!/usr/bin/env bash
# REINFORCE with a group baseline in OpenRLHF (flags of 0.11), with a gramr2 judge in the place of its agent: a completion's chance to beat
# another one of its prompt, 8 of them. Labels are optional: {"prompt": "What is 12+34?"} is the prompt as the judge should see it.
# First:  gramr2 serve --model runs/my-run --port 8000. OpenRLHF's environment needs gramr2's folder light (pip install ./light).
set -euo pipefail
export GRAMR2_JUDGE="${JUDGE_URL:?such as http://127.0.0.1:8000}"
python -m openrlhf.cli.train_ppo_ray \
  --actor.model_name_or_path "${POLICY:?}" \
  --data.prompt_dataset "${PROMPTS:?}" --data.input_key prompt --data.label_key label --data.apply_chat_template \
  --train.agent_func_path "$(python -c "from importlib.util import find_spec; print(find_spec('gramr2.integrations.openrlhf_agent').origin)")" \
  --vllm.num_engines "${ENGINES:-4}" --vllm.tensor_parallel_size 1 --vllm.sync_backend nccl \
  --actor.num_nodes 1 --actor.num_gpus_per_node "${GPUS:-4}" --ref.num_nodes 1 --ref.num_gpus_per_node "${GPUS:-4}" \
  --rollout.batch_size 128 --rollout.n_samples_per_prompt 8 --eval.n_samples_per_prompt 1 \
  --algo.advantage.estimator group_norm \
  "$@"
