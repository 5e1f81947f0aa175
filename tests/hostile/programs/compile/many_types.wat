;; Has fifty thousand distinct types, which the host has to compare.
;; ends: refused
;; says: types
(module (memory (export "memory") 1) (func (export "_start"))
  {% for i in range(50000) %}(type (func (param{% for k in range(8) %} {{ ["i32", "i64", "f32", "f64"][(i // 4**k) % 4] }}{% endfor %}))){% endfor %})
