"""A language model that knows nothing: two layers, random weights, a few hundred words and all bytes as tokens.

``examples/tiny.yaml``, tests and crash checks run on it: every code path of a real model in seconds, without a
download. Its judgments are noise.
"""

from __future__ import annotations

from pathlib import Path

NAME = "tiny-random"
SEED = 20260
WORDS = """
Comparison Conclusion End Feedback Give Ignore Prompt Reason Response Then Which about adds advice after again all alone
already an and another answer are as ask asked asks at away back be because before behind beside better between birthday
both bring but by call calls can cannot child children clear cold come complete correct could day days describes different
do does down each equally euros even evening every everyone explains find first five for form four friendly from get give
gives goes good had half has have he help her him his how if in inside into is it its just keep kitchen know leave leaves
length let like line little long make makes many may me minutes money month more morning much my name names need needs
neither never new next night no nobody not note nothing number of off offers old on once one only or order other our out
over paper people place please point prompt put question reason request response responses right safe same say says school
see sentence serves she should since small so some somebody something sorry soup start starts stay still stop such
suggests take takes talk tell tells than thank thanks that the their them then there they things think this three through
tie time times to today together tomorrow tonight too two under until up use verdict wait want wanted wants was water way
we well were what when where which while who whole will with within without word words work would write writes year yes
you your
"""
"""frequent words of our prompts and of the starter set: each is one token, and a prompt a third of its bytes"""

_CHAT = (
    "{% for message in messages %}<|start|>{{ message['role'] }}\n{{ message['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


def build(into: Path, *, context: int = 4096, layers: int = 2) -> None:
    """Write the model, always with the same weights, as a transformers folder."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from tokenizers.trainers import BpeTrainer
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = BpeTrainer(vocab_size=1500, initial_alphabet=alphabet, min_frequency=1, show_progress=False)
    # A word is another token at the beginning of a line.
    inner.train_from_iterator([word for each in WORDS.split() for word in (each, f" {each}")], trainer)
    inner.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<|start|>", eos_token="<|end|>", pad_token="<|pad|>", chat_template=_CHAT
    )
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        tie_word_embeddings=True,
        initializer_range=0.1,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = LlamaForCausalLM(config)
    model.save_pretrained(into)
    tokenizer.save_pretrained(into)
