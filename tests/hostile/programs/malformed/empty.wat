;; Is no bytes at all.
;; ends: refused
;; says: empty
(module binary "")
