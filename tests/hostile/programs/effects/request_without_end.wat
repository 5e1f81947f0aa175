;; Makes a request of 2^32-1 bytes.
;; ends: trap
(module {{ metier() }} (memory (export "memory") 1)
  (func (export "_start") (drop (call $call (i32.const 0) (i32.const -1)))))
