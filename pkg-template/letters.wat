;; Turns letters back into bytes, in place: see inline.mjs. In memory stand three tables of 128
;; bytes, for letters alone and behind each of the two prefixes, and then the text. A loop in
;; JavaScript would be interpreted for most of its way, which takes several times as long.
(module
  (import "" "m" (memory 1))
  (func (export "d") (param $at i32) (param $end i32)
    (local $to i32)
    (local $letter i32)
    (local.set $to (local.get $at))
    (loop $letters
      (local.set $letter (i32.load8_u (local.get $at)))
      (if (i32.ge_u (local.get $letter) (i32.const 125))
        (then
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (local.set $letter
            (i32.add
              (i32.shl (i32.sub (local.get $letter) (i32.const 124)) (i32.const 7))
              (i32.load8_u (local.get $at))))))
      (i32.store8 (local.get $to) (i32.load8_u (local.get $letter)))
      (local.set $to (i32.add (local.get $to) (i32.const 1)))
      (br_if $letters
        (i32.lt_u
          (local.tee $at (i32.add (local.get $at) (i32.const 1)))
          (local.get $end))))))
