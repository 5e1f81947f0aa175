;; Imports system() from env, as programs for other hosts do.
;; ends: refused
;; says: env.system
(module (import "env" "system" (func (param i32) (result i32))) (memory (export "memory") 1) (func (export "_start")))
