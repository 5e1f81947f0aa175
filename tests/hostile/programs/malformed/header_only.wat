;; Is a header and nothing else.
;; ends: refused
;; says: _start
(module binary "\00asm\01\00\00\00")
