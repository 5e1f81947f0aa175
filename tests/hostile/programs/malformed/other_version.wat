;; Says that it is of version 2.
;; ends: refused
(module binary "\00asm\02\00\00\00")
