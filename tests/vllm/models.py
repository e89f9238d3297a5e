"""Makes the tiny models: `python models.py FOLDER`, in the environment of vLLM.

Two layers, a head size of 64 (the CPU kernel has few others) and random weights, so that they
answer in milliseconds, and always the same. `chat` has the special tokens that parsers of tools
and reasoning look for. `mistral` is the same in Mistral's own format. `adapter` is a LoRA adapter
whose weights change what `chat` says.
"""

import base64
import json
import sys
from pathlib import Path

import torch
from mistral_common.tokens.tokenizers.base import SpecialTokens
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import Qwen2Config, Qwen2ForCausalLM

SPECIAL = [
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
    *("<think>", "</think>", "<tool_call>", "</tool_call>"),
]
TEXT = (
    "A pod is a group of one or more containers with shared storage and network, and a "
    "specification for how to run them. A server holds the weights of a model in the memory of "
    "a GPU, and the keys and values of every request beside them. "
)
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
VOCABULARY = 640
LENGTH = 131072
HIDDEN = 128
RANK = 8
TARGETS = ["q_proj", "v_proj", "o_proj"]
"""What an adapter changes."""


def config() -> Qwen2Config:
    """The shape of all of them."""
    return Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=LENGTH,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=SPECIAL.index("<|im_end|>"),
        dtype="bfloat16",
    )


def make_chat(folder: Path) -> None:
    """A model with its tokenizer and chat template."""
    torch.manual_seed(0)
    Qwen2ForCausalLM(config()).to(torch.bfloat16).save_pretrained(folder)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|endoftext|>",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "model_max_length": LENGTH,
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def make_mistral(folder: Path) -> None:
    """The same size in Mistral's format: params.json, tekken.json, consolidated.safetensors."""
    folder.mkdir()
    special = [token.value for token in SpecialTokens]
    size = 256 + len(special)
    tekken = {
        "config": {
            "pattern": ".",
            "num_vocab_tokens": 256,
            "default_vocab_size": size,
            "default_num_special_tokens": len(special),
            "version": "v7",
        },
        "vocab": [
            {
                "rank": byte,
                "token_bytes": base64.b64encode(bytes([byte])).decode(),
                "token_str": None,
            }
            for byte in range(256)
        ],
        "special_tokens": [
            {"rank": rank, "token_str": name, "is_control": True}
            for rank, name in enumerate(special)
        ],
    }
    (folder / "tekken.json").write_text(json.dumps(tekken), encoding="utf-8")
    params = {
        "dim": HIDDEN,
        "n_layers": 2,
        "head_dim": 64,
        "hidden_dim": 256,
        "n_heads": 2,
        "n_kv_heads": 2,
        "rope_theta": 1e6,
        "norm_eps": 1e-5,
        "vocab_size": size,
        "max_position_embeddings": LENGTH,
    }
    (folder / "params.json").write_text(json.dumps(params), encoding="utf-8")
    torch.manual_seed(0)
    shapes = {
        "attention.wq": (HIDDEN, HIDDEN),
        "attention.wk": (HIDDEN, HIDDEN),
        "attention.wv": (HIDDEN, HIDDEN),
        "attention.wo": (HIDDEN, HIDDEN),
        "feed_forward.w1": (256, HIDDEN),
        "feed_forward.w2": (HIDDEN, 256),
        "feed_forward.w3": (256, HIDDEN),
    }
    weights = {
        f"layers.{layer}.{name}.weight": torch.randn(shape) * 0.02
        for layer in range(2)
        for name, shape in shapes.items()
    }
    weights |= {
        f"layers.{layer}.{name}.weight": torch.ones(HIDDEN)
        for layer in range(2)
        for name in ("attention_norm", "ffn_norm")
    }
    weights["norm.weight"] = torch.ones(HIDDEN)
    weights |= {
        f"{name}.weight": torch.randn(size, HIDDEN) * 0.02 for name in ("tok_embeddings", "output")
    }
    kept = {name: tensor.to(torch.bfloat16).contiguous() for name, tensor in weights.items()}
    save_file(kept, folder / "consolidated.safetensors")


def make_adapter(folder: Path) -> None:
    """A LoRA adapter for `chat`, large enough to be heard."""
    folder.mkdir()
    settings = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "chat",
        "r": RANK,
        "lora_alpha": 64,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": TARGETS,
    }
    (folder / "adapter_config.json").write_text(json.dumps(settings), encoding="utf-8")
    torch.manual_seed(1)
    weights = {}
    for layer in range(2):
        for name in TARGETS:
            start = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            weights[f"{start}.lora_A.weight"] = torch.randn(RANK, HIDDEN)
            weights[f"{start}.lora_B.weight"] = torch.randn(HIDDEN, RANK)
    save_file(weights, folder / "adapter_model.safetensors")


def main() -> None:
    """Make all of them."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True)
    make_chat(folder / "chat")
    make_mistral(folder / "mistral")
    make_adapter(folder / "adapter")


if __name__ == "__main__":
    main()
