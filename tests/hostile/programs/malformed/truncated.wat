;; Ends in the middle of a section.
;; ends: refused
(module binary "\00asm\01\00\00\00" "\01\04\01\60")
