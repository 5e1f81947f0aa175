;; Imports a memory from the host.
;; ends: refused
;; says: does not offer
(module (import "env" "memory" (memory 1)) (export "memory" (memory 0)) (func (export "_start")))
