;; Makes a request that is not UTF-8.
;; ends: contract
(module {{ metier() }} (memory (export "memory") 1) (data (i32.const 0) "\ff\fe{\"op\":\"files.read\"}")
  (func (export "_start") (drop (call $call (i32.const 0) (i32.const 22)))))
