"""Everything that knows a firmware's bytes: codecs, sessions and virtual devices, none of which does I/O."""
