;; Imports a global under the name of a function that is offered.
;; ends: refused
(module (import "metier" "read" (global i32)) (memory (export "memory") 1) (func (export "_start")))
