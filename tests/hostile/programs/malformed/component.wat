;; Is a component, with its own ideas of imports.
;; ends: refused
;; says: component
(module binary "\00asm\0d\00\01\00")
