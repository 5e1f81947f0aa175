;; Wants the answer written beyond its memory.
;; ends: trap
;; says: memory that it does not have
(module {{ metier() }} (memory (export "memory") 1)
  (func (export "_start") (drop (call $call (i32.const 0) (i32.const 2))) (call $read (i32.const 65530))))
