;; Has a section of a number that does not exist.
;; ends: refused
(module binary "\00asm\01\00\00\00" "\7f\04\01\60\00\00")
