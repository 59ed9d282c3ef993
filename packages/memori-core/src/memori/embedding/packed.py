"""Let a model whose weights are stored as int8 multiply them as int8.

The packaged file turns its int8 weights into float32 before it multiplies, so that every query reads four times the
memory. ONNX Runtime's MatMulNBits takes the same numbers as they are and rounds what they are multiplied with to int8,
32 numbers of one token at a time: a vector's cosine with what it was is 0.998 or more, and does not depend on what its
text is batched with.
"""

from __future__ import annotations

import platform
from functools import cache
from typing import Any

import numpy as np
import onnxruntime
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_BLOCK = 32
_INT8 = 4
"""The operator's `accuracy_level` that multiplies int8 with int8."""
_FIRST_VERSION = (1, 23)
_MACHINES = ("x86_64", "amd64")
"""Where it was measured to be faster. Where a processor has no instructions for it, it would be slower."""
_FLOAT, _UINT8 = 1, 2
"""Of `Tensor.data_type`."""
_INT = 2
"""Of `Attribute.type`."""
_ZERO = 128
"""What the operator takes from each weight, which is unsigned."""

# The part of onnx.proto (ONNX, Apache 2.0) that is read or written here; what else a file holds is carried along.
_FIELDS = {
    "Model": {"graph": (7, "Graph"), "opset_import": (8, "Opset*")},
    "Opset": {"domain": (1, "string"), "version": (2, "int64")},
    "Graph": {"node": (1, "Node*"), "initializer": (5, "Tensor*")},
    "Node": {
        "input": (1, "string*"), "output": (2, "string*"), "name": (3, "string"), "op_type": (4, "string"),
        "attribute": (5, "Attribute*"), "domain": (7, "string"),
    },
    "Attribute": {"name": (1, "string"), "i": (3, "int64"), "type": (20, "int32")},
    "Tensor": {"dims": (1, "int64*"), "data_type": (2, "int32"), "name": (8, "string"), "raw_data": (9, "bytes")},
}  # fmt: skip


def packed(content: bytes) -> bytes:
    """Return the packaged file so changed that it computes the same with its int8 weights as they are.

    Returns it unchanged where this machine or ONNX Runtime would not gain by it.
    """
    version = tuple(int(part) for part in onnxruntime.__version__.split(".")[:2])
    if version < _FIRST_VERSION or platform.machine().lower() not in _MACHINES:
        return content
    model = _messages()["Model"].FromString(content)
    graph = model.graph
    made_by = {name: node for node in graph.node for name in node.output}
    stored = {tensor.name: tensor for tensor in graph.initializer}
    replaced = [(node, weights) for node in graph.node if (weights := _int8_weights(node, made_by, stored)) is not None]
    for node, (quantized, scales) in replaced:
        graph.initializer.extend(_pack(node, quantized, scales))
    model.opset_import.add(domain="com.microsoft", version=1)
    _drop_unused(graph)
    written: bytes = model.SerializeToString()
    return written


def _int8_weights(node: Any, made_by: dict[str, Any], stored: dict[str, Any]) -> tuple[Any, Any] | None:
    """The stored weights, shape (inputs, outputs), and scales, of a MatMul with Cast(weights) * scales."""
    product = made_by.get(node.input[1]) if node.op_type == "MatMul" else None
    if product is None or product.op_type != "Mul":
        return None
    cast, scales = made_by.get(product.input[0]), stored.get(product.input[1])
    if cast is None or cast.op_type != "Cast" or scales is None:
        return None
    return stored[cast.input[0]], scales


def _pack(node: Any, quantized: Any, scales: Any) -> list[Any]:
    """Make a MatMul one of int8 weights, by blocks of one output each; return these and their scales."""
    inputs, outputs = quantized.dims
    blocks = inputs // _BLOCK
    weights = np.frombuffer(quantized.raw_data, np.int8).reshape(inputs, outputs).T
    unsigned = (weights.astype(np.int16) + _ZERO).astype(np.uint8)
    repeated = np.repeat(np.frombuffer(scales.raw_data, np.float32), blocks)
    name, tensor = node.name, _messages()["Tensor"]
    made = [
        tensor(name=f"{name}.b", data_type=_UINT8, dims=(outputs, blocks, _BLOCK), raw_data=unsigned.tobytes()),
        tensor(name=f"{name}.scales", data_type=_FLOAT, dims=(outputs, blocks), raw_data=repeated.tobytes()),
    ]
    node.op_type, node.domain = "MatMulNBits", "com.microsoft"
    del node.input[1:]
    node.input.extend(one.name for one in made)
    values = {"K": inputs, "N": outputs, "bits": 8, "block_size": _BLOCK, "accuracy_level": _INT8}
    for attribute, value in values.items():
        node.attribute.add(name=attribute, i=value, type=_INT)
    return made


def _drop_unused(graph: Any) -> None:
    """Take out the casts and products that fed only what was replaced, and their numbers.

    None of a model's own outputs is made by such a node.
    """
    for kind in ("Mul", "Cast"):
        used = _used(graph)
        _drop(graph.node, [node.op_type == kind and used.isdisjoint(node.output) for node in graph.node])
    used = _used(graph)
    _drop(graph.initializer, [tensor.name not in used for tensor in graph.initializer])


def _used(graph: Any) -> set[str]:
    return {name for node in graph.node for name in node.input}


def _drop(items: Any, unwanted: list[bool]) -> None:
    for place in reversed(range(len(items))):
        if unwanted[place]:
            del items[place]


@cache
def _messages() -> dict[str, Any]:
    """The classes of `_FIELDS`, by name."""
    described = descriptor_pb2.FileDescriptorProto(name="memori/onnx.proto", package="memori.onnx")
    for name, fields in _FIELDS.items():
        message = described.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            one = message.field.add(name=field, number=number)
            one.label = one.LABEL_REPEATED if kind.endswith("*") else one.LABEL_OPTIONAL
            kind = kind.rstrip("*")
            if kind in _FIELDS:
                one.type, one.type_name = one.TYPE_MESSAGE, f".memori.onnx.{kind}"
            else:
                one.type = getattr(one, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(described)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"memori.onnx.{name}")) for name in _FIELDS
    }
