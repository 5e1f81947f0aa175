;; Recurses through a table, with thousands of locals in every frame.
;; ends: stack
(module (memory (export "memory") 1) (table 1 funcref) (elem (i32.const 0) $f)
  (func $f (local {{ "i64 " * 5000 }})
    {% for i in range(0, 5000, 50) %}(local.set {{ i }} (i64.load (i32.const {{ i }}))){% endfor %}
    (call_indirect (i32.const 0))
    {% for i in range(0, 5000, 50) %}(i64.store (i32.const {{ i }}) (local.get {{ i }})){% endfor %})
  (func (export "_start") (call $f)))
