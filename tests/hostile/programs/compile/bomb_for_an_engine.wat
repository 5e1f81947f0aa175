;; Is a compile bomb that pretends to be a small module around Python bytecode.
;; ends: refused
;; says: compiling the module takes
;; limits: compile_seconds=1
(module (import "metier:python" "run" (func (param i32 i32))) (memory (export "memory") 1 1)
  (func (export "_start") {{ "loop " * 100000 }} {{ "end " * 100000 }}))
