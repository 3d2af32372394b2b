"""Train the small byte-level model that ships in the package, on the docstrings of Python's standard library.

Run it where PyTorch and `gguf` are installed::

    python tools/train_byte_model.py sim/inference/llama/data/bytes.gguf

It takes some ten minutes of one core. The result depends on the versions of Python (the docstrings) and PyTorch (its
arithmetic), so that another run gives another model of the same quality, not the same bits.
"""

from __future__ import annotations

import ast
import math
import sys
import sysconfig
import time
from pathlib import Path

import gguf
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH, INNER, BLOCKS, HEADS, KV_HEADS, CONTEXT = 64, 192, 4, 4, 2, 256
HEAD, ROPE_BASE, EPSILON = WIDTH // HEADS, 10_000.0, 1e-5
STEPS, BATCH, RATE, SEED = 1_000, 16, 5e-3, 11
HELD_OUT = 20  # one document in so many is not trained on


def docstrings() -> list[str]:
    """Docstrings of the modules, classes and functions of the standard library, in the order of their files."""
    texts: dict[str, None] = {}
    library = Path(sysconfig.get_path("stdlib"))
    for path in sorted(library.rglob("*.py")):
        if {"site-packages", "test", "tests", "idlelib", "lib2to3"} & set(path.relative_to(library).parts):
            continue
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                text = ast.get_docstring(node)
                if text and text.isascii():
                    texts[text] = None
    return list(texts)


class Block(nn.Module):
    """One pre-norm block: grouped-query attention, then a gated SiLU."""

    def __init__(self) -> None:
        super().__init__()
        kv = HEAD * KV_HEADS
        self.attn_norm, self.ffn_norm = nn.RMSNorm(WIDTH, eps=EPSILON), nn.RMSNorm(WIDTH, eps=EPSILON)
        sizes = {
            "attn_q": (WIDTH, WIDTH),
            "attn_k": (WIDTH, kv),
            "attn_v": (WIDTH, kv),
            "attn_output": (WIDTH, WIDTH),
            "ffn_gate": (WIDTH, INNER),
            "ffn_up": (WIDTH, INNER),
            "ffn_down": (INNER, WIDTH),
        }
        for name, (inputs, outputs) in sizes.items():
            self.add_module(name, nn.Linear(inputs, outputs, bias=False))

    def forward(self, x: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
        """From (B, T, width) to the same."""
        batch, length, _ = x.shape
        normed = self.attn_norm(x)
        query, key, value = (
            layer(normed).view(batch, length, -1, HEAD).transpose(1, 2)
            for layer in (self.attn_q, self.attn_k, self.attn_v)
        )
        query, key = turned(query, turns), turned(key, turns)
        key, value = (part.repeat_interleave(HEADS // KV_HEADS, dim=1) for part in (key, value))
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.attn_output(mixed.transpose(1, 2).reshape(batch, length, WIDTH))
        normed = self.ffn_norm(x)
        return x + self.ffn_down(functional.silu(self.ffn_gate(normed)) * self.ffn_up(normed))


def turned(x: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate neighbouring numbers by the angle of their position."""
    cosine, sine = turns
    even, odd = x[..., ::2], x[..., 1::2]
    return torch.stack([even * cosine - odd * sine, even * sine + odd * cosine], dim=-1).flatten(-2)


class Model(nn.Module):
    """A Llama network over bytes, whose embedding also makes the logits."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(256, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.norm = nn.RMSNorm(WIDTH, eps=EPSILON)
        for weight in self.parameters():
            if weight.dim() == 2:
                nn.init.normal_(weight, std=0.05)
        angles = torch.arange(CONTEXT)[:, None] * ROPE_BASE ** (-torch.arange(HEAD // 2) * 2 / HEAD)
        self.turns = torch.cos(angles), torch.sin(angles)

    def forward(self, tokens: Tensor) -> Tensor:
        """From token ids (B, T) to logits (B, T, 256)."""
        x = self.embedding(tokens)
        turns = self.turns[0][: tokens.shape[1]], self.turns[1][: tokens.shape[1]]
        for block in self.blocks:
            x = block(x, turns)
        return self.norm(x) @ self.embedding.weight.T


def loss_of(model: Model, windows: Tensor) -> Tensor:
    """Mean negative log-likelihood of a byte, in nats."""
    scores = model(windows[:, :-1])
    return functional.cross_entropy(scores.flatten(0, 1), windows[:, 1:].flatten())


def trained(data: Tensor, held_out: Tensor) -> Model:
    """Train by AdamW with a warm-up and a cosine decay."""
    torch.manual_seed(SEED)
    model = Model()
    matrices = [weight for weight in model.parameters() if weight.dim() == 2]
    others = [weight for weight in model.parameters() if weight.dim() != 2]
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.98))
    started = time.monotonic()
    for step in range(STEPS):
        share = step / STEPS
        rate = RATE * min(1.0, (step + 1) / 100) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        starts = torch.randint(len(data) - CONTEXT - 1, (BATCH, 1))
        loss = loss_of(model, data[starts + torch.arange(CONTEXT + 1)])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if step % 100 == 0 or step == STEPS - 1:
            with torch.no_grad():
                count = len(held_out) // (CONTEXT + 1)
                windows = held_out[: count * (CONTEXT + 1)].view(count, -1)[::8]
                print(f"{step} {loss:.3f} held out {loss_of(model, windows):.3f} {time.monotonic() - started:.0f} s")
                sys.stdout.flush()
    return model


def write(model: Model, path: Path) -> None:
    """Write the weights as GGUF, in fp16 (norms in fp32)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("bytes-on-docstrings")
    writer.add_description("Byte-level model trained on the docstrings of Python's standard library; splitquorum")
    writer.add_license("Apache-2.0")
    writer.add_vocab_size(256)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(BLOCKS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(EPSILON)
    writer.add_rope_freq_base(ROPE_BASE)
    writer.add_tokenizer_model("bytes")
    tensors = {"token_embd.weight": model.embedding.weight, "output_norm.weight": model.norm.weight}
    for layer, block in enumerate(model.blocks):
        tensors |= {f"blk.{layer}.{name}": weight for name, weight in block.named_parameters()}
    for name, weight in tensors.items():
        array = weight.detach().numpy()
        writer.add_tensor(name, array.astype(np.float16) if array.ndim == 2 else array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    """Train, and write the file that the command line names."""
    torch.set_num_threads(1)
    texts = docstrings()
    parts = ("\n\n".join(texts[i] for i in range(len(texts)) if (i % HELD_OUT == 0) is held) for held in (False, True))
    data, held_out = (torch.tensor(list(part.encode("ascii"))) for part in parts)
    print(f"{len(texts):,} docstrings, {len(data):,} bytes, {len(held_out):,} held out")
    write(trained(data, held_out), Path(sys.argv[1]))


if __name__ == "__main__":
    main()
