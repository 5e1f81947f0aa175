;; Claims four billion types in six bytes.
;; ends: refused
;; says: types
(module binary "\00asm\01\00\00\00" "\01\05\ff\ff\ff\ff\0f")
