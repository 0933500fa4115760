"""A GGUF file becomes the model it was made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gramr2.backends.gguf_import import convert
from gramr2.errors import ModelError

HEADS, KV_HEADS, HIDDEN, LAYERS, VOCAB = 4, 2, 32, 2, 300


def llama_cpp_order(weight: np.ndarray, heads: int) -> np.ndarray:
    """llama.cpp stores query and key rows with the halves of each head's rotary pairs interleaved."""
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


@pytest.mark.slow
def test_weights_tokenizer_and_template_arrive(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import gguf
    import torch
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=HIDDEN,
        intermediate_size=64,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        max_position_embeddings=128,
        rms_norm_eps=1e-5,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config).eval()
    state = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    writer = gguf.GGUFWriter(str(tmp_path / "m.gguf"), "llama")
    writer.add_block_count(LAYERS)
    writer.add_context_length(128)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(64)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(VOCAB)
    tokens = ["<|none|>", "<|start|>", "<|end|>", *sorted(ByteLevel.alphabet()), "ab"]
    tokens += [f"[{i}]" for i in range(VOCAB - len(tokens))]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3] + [1] * (VOCAB - 3))
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_chat_template("{% for m in messages %}<|start|>{{ m['content'] }}<|end|>{% endfor %}")
    names = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    for i in range(LAYERS):
        ours, theirs = f"model.layers.{i}.", f"blk.{i}."
        names |= {
            ours + "input_layernorm": theirs + "attn_norm", ours + "post_attention_layernorm": theirs + "ffn_norm",
            ours + "self_attn.q_proj": theirs + "attn_q", ours + "self_attn.k_proj": theirs + "attn_k",
            ours + "self_attn.v_proj": theirs + "attn_v", ours + "self_attn.o_proj": theirs + "attn_output",
            ours + "mlp.gate_proj": theirs + "ffn_gate", ours + "mlp.up_proj": theirs + "ffn_up",
            ours + "mlp.down_proj": theirs + "ffn_down",
        }  # fmt: skip
    for name, theirs in names.items():
        weight = state[f"{name}.weight"]
        if name.endswith("q_proj"):
            weight = llama_cpp_order(weight, HEADS)
        if name.endswith("k_proj"):
            weight = llama_cpp_order(weight, KV_HEADS)
        writer.add_tensor(f"{theirs}.weight", np.ascontiguousarray(weight))
    finish(writer)

    capfd.readouterr()
    convert(tmp_path / "m.gguf", tmp_path / "out")
    assert "it/s" not in capfd.readouterr().err
    assert (tmp_path / "out" / "model.safetensors").exists()
    ids = torch.tensor([[1, 50, 60, 70, 80, 90]])
    back = AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    with torch.no_grad():
        assert torch.allclose(back(ids).logits, model(ids).logits, atol=1e-4)
    assert not hasattr(back.config, "quantization_config")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert tokenizer.eos_token_id == 2
    text = tokenizer.apply_chat_template([{"role": "user", "content": "x"}], tokenize=False)
    assert text == "<|start|>x<|end|>"
    whole = (tmp_path / "m.gguf").read_bytes()
    (tmp_path / "cut.gguf").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"cut\.gguf cannot be read"):
        convert(tmp_path / "cut.gguf", tmp_path / "cut")


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_text("hello")
    with pytest.raises(ModelError, match="not a GGUF file"):
        convert(tmp_path / "x.gguf", tmp_path / "out")
    (tmp_path / "x.gguf").write_bytes(b"GGUF" + (9).to_bytes(4, "little"))
    with pytest.raises(ModelError, match="GGUF version 9"):
        convert(tmp_path / "x.gguf", tmp_path / "out")


def finish(writer: Any) -> None:
    """Write the file that a ``GGUFWriter`` was made for."""
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_an_unknown_architecture_is_named(tmp_path: Path) -> None:
    import gguf

    writer = gguf.GGUFWriter(str(tmp_path / "x.gguf"), "frobnicator")
    writer.add_block_count(1)
    finish(writer)
    with pytest.raises(ModelError, match="frobnicator"):
        convert(tmp_path / "x.gguf", tmp_path / "out")


@pytest.mark.parametrize(("key", "value"), [("block_count", 2**31), ("embedding_length", 2**30), ("vocab_size", 2**31)])
def test_a_header_that_promises_more_than_there_is_takes_no_memory(key: str, value: int, tmp_path: Path) -> None:
    import gguf

    writer = gguf.GGUFWriter(str(tmp_path / "m.gguf"), "llama")
    if key != "block_count":
        writer.add_block_count(1)
    writer.add_uint32(f"llama.{key}", value)
    writer.add_tensor("token_embd.weight", np.zeros((4, 32), np.float32))
    finish(writer)
    with pytest.raises(ModelError, match=rf"its header says llama\.{key} = {value}, and its tensors allow \d+ at most"):
        convert(tmp_path / "m.gguf", tmp_path / "model")


@pytest.mark.parametrize("key", ["", "lama.block_count"])
def test_a_header_without_a_number_of_layers(key: str, tmp_path: Path) -> None:
    import gguf

    writer = gguf.GGUFWriter(str(tmp_path / "m.gguf"), "llama")
    if key:
        writer.add_uint32(key, 0)
    finish(writer)
    with pytest.raises(ModelError, match="does not say how many layers"):
        convert(tmp_path / "m.gguf", tmp_path / "model")
