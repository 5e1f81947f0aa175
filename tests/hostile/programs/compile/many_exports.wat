;; Has more exports than anybody, for the host to make objects of.
;; ends: refused
;; says: exports
(module (memory (export "memory") 1) (func $f (export "_start"))
  {% for i in range(20000) %}(export "e{{ i }}" (func $f)){% endfor %})
