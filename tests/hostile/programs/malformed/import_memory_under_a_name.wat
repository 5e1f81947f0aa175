;; Imports a memory under the name of a function that is offered.
;; ends: refused
(module (import "metier" "call" (memory 1)) (export "memory" (memory 0)) (func (export "_start")))
