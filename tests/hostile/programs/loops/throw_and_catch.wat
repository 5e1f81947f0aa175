;; Throws and catches exceptions for ever; each is an object on a heap.
;; ends: fuel|time|memory|trap
;; limits: seconds=2
(module (tag $t (param i64)) (memory (export "memory") 1)
  (func (export "_start")
    (loop $again
      (block $caught (result i64)
        (try_table (catch $t $caught) (throw $t (i64.const 1)))
        (unreachable))
      (drop) (br $again))))
