"""Runs in the emulated system: what every engine makes of a bundle's golden windows there, as JSON lines.

python3 golden.py BUNDLE [ENGINE...]
"""

import json
import sys
from dataclasses import asdict

from edge_ecg.bench.agreement import check_engine
from edge_ecg.bundle import Golden, read_bundle
from edge_ecg.model import load_heads, open_model

path, engines = sys.argv[1], sys.argv[2:]
bundle = read_bundle(path)
heads, golden = load_heads(bundle), Golden.from_bundle(bundle)
for name in engines or bundle.manifest.engines:
    model = open_model(bundle, name, heads)
    largest = float(abs(golden.embeddings[name]).max())
    found = asdict(check_engine(model, golden))
    print(
        json.dumps({"engine": name, "package": model.encoder.version, "largest": largest, **found}),
        flush=True,
    )
