;; Has a million and one globals.
;; ends: refused
(module (memory (export "memory") 1) (func (export "_start")) {{ "(global i64 (i64.const 1))" * 1000001 }})
