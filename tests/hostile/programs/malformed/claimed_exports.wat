;; Claims four billion exports, for somebody to allocate a list of.
;; ends: refused
;; says: exports
(module binary "\00asm\01\00\00\00" "\07\05\ff\ff\ff\ff\0f")
