#!/usr/bin/env bash
# GRPO in verl (keys of 0.9) with a gramr2 judge as verl's own generative reward model: verl serves JUDGE, a folder that gramr2 export
# wrote, behind its router, and the reward function asks the router in both orders. Rows are as in verl.sh.
set -euo pipefail
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
  reward.num_workers=8 \
  reward.reward_model.enable=True reward.reward_model.model_path="${JUDGE:?a folder that gramr2 export wrote}" \
  reward.reward_model.rollout.name=vllm reward.reward_model.rollout.tensor_model_parallel_size=1 \
  reward.reward_model.rollout.prompt_length=4096 reward.reward_model.rollout.response_length=512 \
  reward.reward_model.rollout.gpu_memory_utilization=0.3 \
  reward.custom_reward_function.path="$(python -c 'import gramr2.rewards.adapters.verl_genrm as v; print(v.__file__)')" \
  reward.custom_reward_function.name=compute_score \
  +reward.custom_reward_function.reward_kwargs.max_new_tokens=512 \
  "$@"
