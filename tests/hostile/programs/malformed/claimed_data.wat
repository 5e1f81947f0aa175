;; Claims a data section of four gibibytes.
;; ends: refused
(module binary "\00asm\01\00\00\00" "\0b\ff\ff\ff\ff\0f\01")
