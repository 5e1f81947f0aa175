;; Nests fifty thousand conditions.
;; ends: refused
;; says: compiling the module takes
;; limits: compile_seconds=1
(module (memory (export "memory") 1)
  (func (export "_start") {{ "i32.const 1 if " * 100000 }} {{ "end " * 100000 }}))
