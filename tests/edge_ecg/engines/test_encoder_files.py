"""Encoder files that want more than arithmetic: they never reach the runtime that would do it."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import onnx
import onnx.helper as make
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ecg.bundle import read_bundle
from edge_ecg.engines import check_encoders
from edge_ecg.engines import litert as litert_engine
from edge_ecg.engines import onnx as onnx_engine
from edge_ecg.engines.onnx_file import check_onnx
from edge_ecg.engines.tflite_file import MAX_TENSOR_BYTES, check_tflite
from edge_ecg.errors import BundleError

FLOAT = onnx.TensorProto.FLOAT


def weights(name: str = "w") -> onnx.TensorProto:
    return make.make_tensor(name, FLOAT, [2], [1.0, 2.0])


def elsewhere(location: str = "/etc/passwd", *, only_by_location: bool = False) -> onnx.TensorProto:
    """Weights that lie in another file."""
    tensor = weights("external")
    tensor.ClearField("float_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    if not only_by_location:
        tensor.external_data.add(key="location", value=location)
    return tensor


def graph(
    *nodes: onnx.NodeProto, initializers: list[onnx.TensorProto] | None = None, **more: Any
) -> onnx.GraphProto:
    return make.make_graph(
        nodes or [make.make_node("Relu", ["x"], ["y"])],
        "g",
        [make.make_tensor_value_info("x", FLOAT, [1, 2560])],
        [make.make_tensor_value_info("y", FLOAT, [1, 128])],
        initializers or [weights()],
        **more,
    )


def model(of: onnx.GraphProto, *domains: str, **more: Any) -> bytes:
    opsets = [make.make_opsetid(domain, 1) for domain in domains or ("",)]
    return bytes(make.make_model(of, opset_imports=opsets, **more).SerializeToString())


def branching() -> onnx.NodeProto:
    return make.make_node("If", ["x"], ["y"], then_branch=graph(), else_branch=graph())


def sparse() -> onnx.SparseTensorProto:
    return make.make_sparse_tensor(weights(), make.make_tensor("i", onnx.TensorProto.INT64, [2], [0, 1]), [4])


FUNCTION = make.make_function(
    "own", "F", ["x"], ["y"], [make.make_node("Relu", ["x"], ["y"])], [make.make_opsetid("", 17)]
)

BAD_ONNX = {
    "an operator of another domain": (
        model(graph(make.make_node("Exec", ["x"], ["y"], domain="evil"))),
        "the domain 'evil'",
    ),
    "a contributed operator": (
        model(graph(make.make_node("Gelu", ["x"], ["y"], domain="com.microsoft"))),
        "the domain 'com.microsoft'",
    ),
    "another domain that is only imported": (model(graph(), "", "evil"), "the domain 'evil'"),
    "a domain that is no text": (
        model(graph()) + b"\x42\x04\x0a\x02\xff\xfe",
        "the domain",
    ),
    "weights in another file": (model(graph(initializers=[elsewhere()])), "in another file"),
    "weights in a file above": (model(graph(initializers=[elsewhere("../../x")])), "in another file"),
    "weights in a file without a name": (
        model(graph(initializers=[elsewhere(only_by_location=True)])),
        "in another file",
    ),
    "a constant in another file": (
        model(graph(make.make_node("Constant", [], ["y"], value=elsewhere()))),
        "in another file",
    ),
    "a list of constants in another file": (
        model(graph(make.make_node("Relu", ["x"], ["y"], values=[weights(), elsewhere()]))),
        "in another file",
    ),
    "a branch": (model(graph(branching())), "a loop or a branch"),
    "many branches": (model(graph(make.make_node("X", [], [], graphs=[graph()] * 2))), "a loop or a branch"),
    "an operator of its own": (model(graph(), functions=[FUNCTION]), "operators of its own"),
    "sparse weights": (model(graph(sparse_initializer=[sparse()])), "sparse weights"),
    "a sparse constant": (
        model(graph(make.make_node("Constant", [], ["y"], sparse_value=sparse()))),
        "sparse weights",
    ),
    "training": (model(graph()) + b"\xa2\x01\x00", "training"),  # field 20
    "two graphs": (model(graph()) + b"\x3a\x00", "2 graphs"),
    "no graph": (b"\x08\x08", "0 graphs"),
    "nothing": (b"", "0 graphs"),
    "text": (b"hello, world", "no ONNX file"),
    "a length of 4 GiB": (b"\x3a\xff\xff\xff\xff\x0f", "cut short"),
    "a length without end": (b"\x3a" + b"\xff" * 20, "cut short"),
    "a graph that is a number": (b"\x38\x01", "no ONNX file"),
    "groups": (b"\x0b\x0c", "no ONNX file"),
    "two million fields": (b"\x08\x01" * 2_000_000, "more than 200000 fields"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_ONNX)
def test_an_onnx_file_that_wants_more(name: str) -> None:
    data, why = BAD_ONNX[name]
    with pytest.raises(ValueError, match=why):
        check_onnx(data)
    with pytest.raises(BundleError, match="ONNX Runtime cannot load"):
        onnx_engine.load("onnx-fp32", data)


def test_what_is_plain_is_let_through() -> None:
    check_onnx(model(graph()))
    check_onnx(model(graph(make.make_node("Relu", ["x"], ["y"], domain="ai.onnx")), "", "ai.onnx"))
    check_tflite(tflite())


def test_weights_elsewhere_are_not_even_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").write_bytes(np.zeros(2, np.float32).tobytes())
    with pytest.raises(BundleError) as caught:
        onnx_engine.load("onnx-fp32", model(graph(initializers=[elsewhere("weights")])))
    assert "another file" in caught.value.why


Tensor = tuple[list[int], int]


def tflite(
    codes: list[tuple[int, str | None, int]] | None = None,
    graphs: list[list[Tensor]] | None = None,
    buffers: list[tuple[int, int]] | None = None,
) -> bytes:
    """A TFLite file of what is looked at: operators (old number, name, number), tensors, buffers."""
    build = flatbuffers.Builder(1024)

    def vector(offsets: list[int]) -> int:
        build.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            build.PrependUOffsetTRelative(offset)
        return int(build.EndVector())

    made_codes = []
    for old, custom, new in codes or [(3, None, 3)]:
        name = build.CreateString(custom) if custom else 0
        build.StartObject(4)
        build.PrependInt8Slot(0, old, 0)
        if name:
            build.PrependUOffsetTRelativeSlot(1, name, 0)
        build.PrependInt32Slot(3, new, 0)
        made_codes.append(build.EndObject())
    made_graphs = []
    for tensors in graphs or [[([1, 2560], 0), ([1, 128], 0)]]:
        made = []
        for shape, kind in tensors:
            build.StartVector(4, len(shape), 4)
            for length in reversed(shape):
                build.PrependInt32(length)
            dimensions = build.EndVector()
            build.StartObject(8)
            build.PrependUOffsetTRelativeSlot(0, dimensions, 0)
            build.PrependInt8Slot(1, kind, 0)
            made.append(build.EndObject())
        tensors_at = vector(made)
        build.StartObject(5)
        build.PrependUOffsetTRelativeSlot(0, tensors_at, 0)
        made_graphs.append(build.EndObject())
    made_buffers = []
    for offset, size in buffers or [(0, 0)]:
        build.StartObject(3)
        build.PrependUint64Slot(1, offset, 0)
        build.PrependUint64Slot(2, size, 0)
        made_buffers.append(build.EndObject())
    codes_at, graphs_at, buffers_at = vector(made_codes), vector(made_graphs), vector(made_buffers)
    build.StartObject(8)
    build.PrependUint32Slot(0, 3, 0)
    build.PrependUOffsetTRelativeSlot(1, codes_at, 0)
    build.PrependUOffsetTRelativeSlot(2, graphs_at, 0)
    build.PrependUOffsetTRelativeSlot(4, buffers_at, 0)
    build.Finish(build.EndObject(), file_identifier=b"TFL3")
    return bytes(build.Output())


def vast(*shape: int, kind: int = 0, count: int = 1) -> bytes:
    return tflite(graphs=[[(list(shape), kind)] * count])


PLAIN = tflite()
BAD_TFLITE = {
    "a custom operator": (tflite([(32, "Exec", 32)]), "not TFLite's own"),
    "a Flex operator": (tflite([(32, "FlexReadFile", 0)]), "not TFLite's own"),
    "a custom operator by its old number": (tflite([(32, None, 0)]), "not TFLite's own"),
    "a custom operator by its new number": (tflite([(0, None, 32)]), "not TFLite's own"),
    "a name beside a number": (tflite([(3, "Exec", 3)]), "not TFLite's own"),
    "a custom operator behind others": (tflite([(3, None, 3)] * 9 + [(32, "X", 32)]), "not TFLite's own"),
    "a delegate": (tflite([(51, None, 51)]), "a delegate"),
    "two graphs": (tflite(graphs=[[([1], 0)], [([1], 0)]]), "2 graphs"),
    "weights behind its end": (tflite(buffers=[(0, 0), (4096, 100)]), "behind its end"),
    "a tensor of 8 GiB": (vast(2**31 - 1), "8191 MiB"),
    "a tensor of many GiB": (vast(2**31 - 1, 2**31 - 1, 2**31 - 1), "MiB; 256 are allowed"),
    "many tensors": (vast(2**20, count=65), "260 MiB"),
    "texts count at their largest": (vast(2**24 + 1, kind=5), "256 MiB"),
    "nine dimensions": (vast(*[1] * 9), "9 dimensions"),
    "100,001 tensors": (vast(1, count=100_001), "more than 100000 items"),
    "no tables": (b"\x08\0\0\0TFL3" + bytes(100), "0 graphs"),
    "a root beyond the end": (b"\xff\xff\xff\x7fTFL3" + bytes(100), "cut short"),
    "a table before the start": (b"\x08\0\0\0TFL3\xff\xff\xff\x7f" + bytes(100), "no TFLite file"),
    "ONNX": (model(graph()), "no TFLite file"),
    "nothing": (b"", "no TFLite file"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_TFLITE)
def test_a_tflite_file_that_wants_more(name: str) -> None:
    data, why = BAD_TFLITE[name]
    with pytest.raises(ValueError, match=why):
        check_tflite(data)
    with pytest.raises(BundleError, match="LiteRT cannot load"):
        litert_engine.load("litert-int8", data)


def test_tensors_at_the_bound_pass() -> None:
    check_tflite(vast(MAX_TENSOR_BYTES // 4))
    with pytest.raises(ValueError, match="tensors need"):
        check_tflite(vast(MAX_TENSOR_BYTES // 4, 1, 2))


def test_the_encoders_that_are_exported_are_let_through(bundle_path: Path) -> None:
    bundle = read_bundle(bundle_path)
    assert len(bundle.manifest.engines) == 4
    check_encoders(bundle)


@given(st.data())
def test_no_damage_raises_anything_but_a_value_error(data: st.DataObject) -> None:
    whole, check = data.draw(st.sampled_from([(model(graph()), check_onnx), (PLAIN, check_tflite)]))
    first = data.draw(st.integers(0, len(whole)))
    last = data.draw(st.integers(first, min(len(whole), first + 20)))
    broken = whole[:first] + data.draw(st.binary(max_size=20)) + whole[last:]
    with contextlib.suppress(ValueError):
        check(broken)


@given(st.binary(max_size=300), st.integers(0, 2**32 - 1))
def test_no_bytes_raise_anything_but_a_value_error(data: bytes, root: int) -> None:
    for check, head in ((check_onnx, b""), (check_tflite, struct.pack("<I", root % 400) + b"TFL3")):
        with contextlib.suppress(ValueError):
            check(head + data)
