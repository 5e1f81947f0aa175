;; Builds an endless list of garbage-collected arrays, which are not in linear memory.
;; ends: refused
(module (type $a (array (mut i64)))
  (type $list (struct (field (ref null $list)) (field (ref $a))))
  (memory (export "memory") 1) (global $head (mut (ref null $list)) (ref.null $list))
  (func (export "_start")
    (loop
      (global.set $head (struct.new $list (global.get $head) (array.new $a (i64.const 1) (i32.const 100000))))
      (br 0))))
