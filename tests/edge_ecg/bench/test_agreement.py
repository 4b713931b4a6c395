"""Golden windows in kernels that round otherwise: the shipped model passes, another model does not."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edge_ecg.bench import check_engine
from edge_ecg.bench.agreement import MIN_COSINE, MIN_COSINE_BUILT_IN
from edge_ecg.bundle import Golden
from edge_ecg.engines.base import BUILT_IN
from edge_ecg.engines.litert import LiteRtEncoder
from edge_ecg.model import Model, bundled, load_heads, load_model


@pytest.fixture(scope="module", params=["BUILTIN_REF", "BUILTIN_WITHOUT_DEFAULT_DELEGATES"])
def built_in(request: pytest.FixtureRequest) -> Model:
    """The model that comes along, as where XNNPACK is missing."""
    bundle = bundled()
    interpreter = Interpreter(
        model_content=bundle.read("encoder.int8.tflite"),
        experimental_op_resolver_type=getattr(OpResolverType, request.param),
    )
    interpreter.allocate_tensors()
    return Model(bundle, LiteRtEncoder("litert-int8", interpreter), load_heads(bundle))


def test_without_xnnpack_it_decides_the_same_and_is_let_through(built_in: Model) -> None:
    golden = Golden.from_bundle(built_in.bundle)
    found = check_engine(built_in, golden)
    assert built_in.encoder.backend == BUILT_IN
    assert found.passed
    assert found.decisions_equal
    assert found.least_cosine == MIN_COSINE_BUILT_IN < found.min_cosine < MIN_COSINE
    turned = Golden(golden.windows, {name: np.roll(v, 1, 0) for name, v in golden.embeddings.items()})
    assert not check_engine(built_in, turned).passed


def test_with_xnnpack_nothing_but_the_same_bits_is_expected() -> None:
    model = load_model(engine="litert-int8")
    found = check_engine(model, Golden.from_bundle(model.bundle))
    assert model.encoder.backend == "XNNPACK"
    assert (found.equal, found.least_cosine) == (1.0, MIN_COSINE)
