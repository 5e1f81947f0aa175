;; Takes and touches all the memory that it may have, and then says nothing.
;; ends: contract
(module (memory (export "memory") 1000)
  (func (export "_start") (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536000))))
