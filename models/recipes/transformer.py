"""Transformer families: LoRA, task heads, bias-only tuning, a vision transformer, a decoder."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import torch
from torch import nn
from transformers import (
    BertConfig,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    ViTConfig,
    ViTForImageClassification,
)  # fmt: skip

from .export import dynamo, family, legacy, perturb, randomise

VOCABULARY = 200
TOKENS = {"input_ids": {0: "N", 1: "S"}, "attention_mask": {0: "N", 1: "S"}}
TOKEN_RANGES = {"input_ids": [0, VOCABULARY], "attention_mask": [0, 2]}


class Outputs(nn.Module):
    """Calls a transformers model with tensors by position and returns tensors."""

    def __init__(self, model: nn.Module, *fields: str):
        super().__init__()
        self.model, self.fields = model, fields

    def forward(self, input_ids, attention_mask):
        result = self.model(input_ids=input_ids, attention_mask=attention_mask)
        return tuple(result[f] for f in self.fields)


def bert_config(hidden: int = 64, layers: int = 2, **more) -> BertConfig:
    return BertConfig(
        vocab_size=VOCABULARY, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=4, intermediate_size=2 * hidden,
        max_position_embeddings=64, attn_implementation="eager", **more,
    )  # fmt: skip


def sample(length: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.randint(0, VOCABULARY, (2, length))
    mask = torch.ones(2, length, dtype=torch.long)
    mask[1, length // 2 :] = 0
    return ids, mask


class Lora(nn.Module):
    """A frozen Linear and a low-rank update that is kept apart: W x + B (A x) * scale."""

    def __init__(self, base: nn.Linear, rank: int, seed: int):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.base, self.scale = base, 2.0
        self.down, self.up = (
            nn.Linear(base.in_features, rank, bias=False),
            nn.Linear(rank, base.out_features, bias=False),
        )
        for layer in (self.down, self.up):
            layer.weight.data.copy_(torch.randn(layer.weight.shape, generator=generator) * 0.15)

    def forward(self, x):
        return self.base(x) + self.up(self.down(x)) * self.scale


class Classifier(nn.Module):
    def __init__(self, encoder: BertModel, classes: int):
        super().__init__()
        self.encoder, self.head = encoder, nn.Linear(encoder.config.hidden_size, classes)

    def forward(self, input_ids, attention_mask):
        return self.head(
            self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state[:, 0]
        )


def lora_bert(out: Path) -> dict:
    torch.manual_seed(20)
    base = randomise(BertModel(bert_config(), add_pooling_layer=False), 20)
    files = []
    for i, (name, rank, classes) in enumerate([("topics", 4, 8), ("tone", 4, 3), ("spam", 8, 2)]):
        torch.manual_seed(200 + i)
        model = Classifier(deepcopy(base), classes)
        randomise(model.head, 200 + i)
        for k, layer in enumerate(model.encoder.encoder.layer):
            attention = layer.attention.self
            attention.query = Lora(attention.query, rank, 1000 * i + 10 * k)
            attention.value = Lora(attention.value, rank, 1000 * i + 10 * k + 5)
        files.append(legacy(model, sample(), out / f"{name}.onnx", ["input_ids", "attention_mask"], ["logits"],
                            {**TOKENS, "logits": {0: "N"}}))  # fmt: skip
    return family(files, "BERT, hidden 64: LoRA factors of rank 4, 4 and 8 kept beside the shared weights, own heads",
                  dims={"N": [1, 2, 3], "S": [12, 3, 20]}, ranges=TOKEN_RANGES)  # fmt: skip


def bert_heads(out: Path) -> dict:
    torch.manual_seed(21)
    tasks = {
        "sequence": (BertForSequenceClassification, ["logits"], {"logits": {0: "N"}}),
        "tokens": (BertForTokenClassification, ["logits"], {"logits": {0: "N", 1: "S"}}),
        "answers": (BertForQuestionAnswering, ["start_logits", "end_logits"], {"start_logits": {0: "N", 1: "S"}, "end_logits": {0: "N", 1: "S"}}),
    }  # fmt: skip
    encoder = None
    files = []
    for i, (name, (kind, fields, axes)) in enumerate(tasks.items()):
        torch.manual_seed(210 + i)
        model = randomise(kind(bert_config(48, num_labels=2 if name == "answers" else 5)), 210 + i)
        encoder = encoder or model.bert.state_dict()
        model.bert.load_state_dict(encoder, strict=False)
        files.append(
            legacy(
                Outputs(model, *fields),
                sample(),
                out / f"{name}.onnx",
                ["input_ids", "attention_mask"],
                fields,
                {**TOKENS, **axes},
            )
        )
    return family(files, "BERT, hidden 48: sequence, token and span heads on one encoder (only the first has a pooler)",
                  dims={"N": [1, 2, 3], "S": [12, 3, 20]}, ranges=TOKEN_RANGES)  # fmt: skip


def bias_only(out: Path) -> dict:
    torch.manual_seed(22)
    base = randomise(BertForSequenceClassification(bert_config(32, num_labels=4)), 22)
    files = []
    for i, name in enumerate(["news", "mail", "chat"]):
        model = perturb(deepcopy(base), 220 + i, lambda n: n.endswith("bias"), 1.0)
        files.append(dynamo(Outputs(model, "logits"), sample(), out / f"{name}.onnx", ["input_ids", "attention_mask"], ["logits"],
                            [{0: "batch", 1: "sequence"}, {0: "batch", 1: "sequence"}]))  # fmt: skip
    return family(files, "BERT, hidden 32, only the biases tuned (BitFit), torch.export-based exporter",
                  dims={"batch": [2, 3, 1], "sequence": [12, 3, 20]}, ranges=TOKEN_RANGES)  # fmt: skip


class Scores(nn.Module):
    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, pixel_values):
        return self.model(pixel_values=pixel_values).logits


def vit_heads(out: Path) -> dict:
    files, encoder = [], None
    for i, (name, classes) in enumerate([("birds", 12), ("plants", 7), ("rocks", 3)]):
        torch.manual_seed(230 + i)
        config = ViTConfig(hidden_size=36, num_hidden_layers=2, num_attention_heads=3, intermediate_size=72, image_size=32, patch_size=8,
                           num_labels=classes, attn_implementation="eager")  # fmt: skip
        model = randomise(ViTForImageClassification(config), 230 + i)
        encoder = encoder or model.vit.state_dict()
        model.vit.load_state_dict(encoder)
        files.append(
            dynamo(
                Scores(model),
                (torch.randn(2, 3, 32, 32),),
                out / f"{name}.onnx",
                ["pixel_values"],
                ["logits"],
                [{0: "batch"}],
            )
        )
    return family(
        files,
        "vision transformer, hidden 36, three heads, torch.export-based exporter",
        dims={"batch": [1, 2, 3]},
    )


def gpt_layers(out: Path) -> dict:
    torch.manual_seed(24)
    config = GPT2Config(vocab_size=VOCABULARY, n_positions=32, n_embd=32, n_layer=3, n_head=4, attn_implementation="eager",
                        bos_token_id=0, eos_token_id=1, use_cache=False)  # fmt: skip
    base = randomise(GPT2LMHeadModel(config), 24)
    files = []
    for i, name in enumerate(["poems", "code"]):
        model = perturb(deepcopy(base), 240 + i, lambda n: n.startswith("transformer.h.2."), 0.3)
        files.append(legacy(Outputs(model, "logits"), sample(8), out / f"{name}.onnx", ["input_ids", "attention_mask"], ["logits"],
                            {**TOKENS, "logits": {0: "N", 1: "S"}}))  # fmt: skip
    return family(files, "GPT-2, hidden 32, last block tuned; the output layer is tied to the embedding (Gather and MatMul of one weight)",
                  dims={"N": [1, 2, 3], "S": [8, 3]}, ranges=TOKEN_RANGES)  # fmt: skip


FAMILIES = [lora_bert, bert_heads, bias_only, vit_heads, gpt_layers]
