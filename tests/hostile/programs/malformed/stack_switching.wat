;; Makes continuations, each with a stack of its own.
;; ends: refused
(module (type $f (func)) (type $c (cont $f)) (memory (export "memory") 1) (func $g) (elem declare func $g)
  (func (export "_start") (drop (cont.new $c (ref.func $g)))))
