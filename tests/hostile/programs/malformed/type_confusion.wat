;; Takes a number for a reference.
;; ends: refused
(module (memory (export "memory") 1) (table 1 funcref)
  (func (export "_start") (table.set 0 (i32.const 0) (i32.const 1234))))
