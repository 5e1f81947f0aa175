"""C++23 with `metier.h`, without exceptions."""

from __future__ import annotations

from metier.toolchains.c import C_INCLUDES
from metier.toolchains.zigcc import Clang

CPP = Clang(
    "cpp",
    "capability.cpp",
    (".cpp", ".cc", ".cxx"),
    driver="c++",
    standard="gnu++23",
    includes=("libcxx/include", "libcxxabi/include", *C_INCLUDES),
)
