;; Asks for one garbage-collected array of 30 gigabytes.
;; ends: refused
(module (type $a (array (mut i64))) (memory (export "memory") 1)
  (func (export "_start") (drop (array.new $a (i64.const 1) (i32.const 4000000000)))))
