;; Has its sections in the wrong order.
;; ends: refused
(module binary "\00asm\01\00\00\00" "\05\03\01\00\01" "\01\04\01\60\00\00")
