"""The engines that are shipped, as WebAssembly, and how each was built."""
