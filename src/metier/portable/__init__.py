"""Capabilities as files that other hosts run: one self-contained WebAssembly program each."""
