;; Has a length that never ends.
;; ends: refused
(module binary "\00asm\01\00\00\00" "\01\80\80\80\80\80\80\80\80\80\80\80\80\80\80\80\01")
