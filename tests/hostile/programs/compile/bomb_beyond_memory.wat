;; Needs a compiler that may take gigabytes.
;; ends: refused
;; says: compiling the module takes
;; limits: compile_memory_bytes=200*2**20
(module (memory (export "memory") 1) (func (export "_start"))
  {{ ("(func (param i64 i64) (result i64) " ~ "(local.set 0 (i64.mul (local.get 0) (i64.add (local.get 1) (i64.const 3))))" * 400 ~ "(local.get 0))") * 400 }})
