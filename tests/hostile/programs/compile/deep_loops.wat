;; Nests a hundred thousand loops, which a compiler needs minutes for.
;; ends: refused
;; says: compiling the module takes
;; limits: compile_seconds=1
(module (memory (export "memory") 1) (func (export "_start") {{ "loop " * 100000 }} {{ "end " * 100000 }}))
