"""``python -m edge_ecg``: the same as the command ``edge-ecg``."""

from .cli import main

raise SystemExit(main())
