"""The int8 model for a microcontroller: C sources, and what TFLite-Micro makes of them on this machine.

``core`` cuts the int8 part out of a bundle's TFLite file; ``around`` is what comes before and after it, in
NumPy, step by step as the C that ``c_around`` writes; ``tflm`` runs it in TFLite-Micro's own interpreter and
finds the arena; ``check`` compares with LiteRT and with the decisions that the bundle expects; ``build`` puts
these in order.
"""

from .build import MicroExport, export_micro, write_files

__all__ = ["MicroExport", "export_micro", "write_files"]
