;; Has 300,000 functions.
;; ends: refused
;; says: compiling the module takes
;; limits: compile_seconds=1
(module (memory (export "memory") 1) (func (export "_start")) {{ "(func)" * 300000 }})
