;; Has a hundred tables, each just within the limit for one, and fills them all.
;; ends: table
;; says: tables
(module (memory (export "memory") 1) (elem declare func $g) (func $g)
  {% for i in range(100) %}(table $t{{ i }} 100000 funcref){% endfor %}
  (func (export "_start")
    {% for i in range(100) %}(table.fill $t{{ i }} (i32.const 0) (ref.func $g) (i32.const 100000)){% endfor %}))
