;; Points its request at memory that it does not have.
;; ends: trap
;; says: memory that it does not have
(module {{ metier() }} (memory (export "memory") 1)
  (func (export "_start") (drop (call $call (i32.const -16) (i32.const 64)))))
